package threshold

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
)

// PreParams are a party's Paillier key and its safe primes: secret, slow to make, and for one key only.
type PreParams = keygen.LocalPreParams

// TestPreParamsCount is how many sets of test parameters there are; each party of a key needs another one.
const TestPreParamsCount = 3

//go:embed testdata/public-test-preparams-*.json
var testdata embed.FS

// preParamsFile says in its own text what it is.
type preParamsFile struct {
	Warning   string    `json:"warning,omitempty"`
	PreParams PreParams `json:"preParams"`
}

// NewPreParams makes fresh parameters. That takes minutes on a small machine.
func NewPreParams(ctx context.Context) (PreParams, error) {
	made, err := keygen.GeneratePreParamsWithContext(ctx)
	if err != nil {
		return PreParams{}, fmt.Errorf("make pre-parameters: %w", errors.Join(err, context.Cause(ctx)))
	}
	return *made, nil
}

// TestPreParams is one of the sets that lie in testdata. Everybody has them: a key made with them protects nothing.
func TestPreParams(set int) (PreParams, error) {
	if set < 0 || set >= TestPreParamsCount {
		return PreParams{}, fmt.Errorf("there are %d sets of test parameters, from 0; no set %d", TestPreParamsCount, set)
	}
	text, err := testdata.ReadFile(fmt.Sprintf("testdata/public-test-preparams-%d.json", set))
	if err != nil {
		return PreParams{}, err
	}
	return ParsePreParams(text)
}

// ParsePreParams reads what MarshalPreParams wrote.
func ParsePreParams(text []byte) (PreParams, error) {
	var file preParamsFile
	if err := json.Unmarshal(text, &file); err != nil {
		return PreParams{}, errors.New("the file is no pre-parameters")
	}
	if !file.PreParams.ValidateWithProof() {
		return PreParams{}, errors.New("the pre-parameters are not complete")
	}
	return file.PreParams, nil
}

// MarshalPreParams writes parameters, with a warning to whoever opens the file.
func MarshalPreParams(preParams PreParams, warning string) ([]byte, error) {
	text, err := json.MarshalIndent(preParamsFile{warning, preParams}, "", "  ")
	return append(text, '\n'), err
}
