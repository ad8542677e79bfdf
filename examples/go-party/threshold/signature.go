package threshold

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/bnb-chain/tss-lib/v2/common"
	"github.com/bnb-chain/tss-lib/v2/ecdsa/signing"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

const (
	// HashBytes is the length of what is signed.
	HashBytes   = 32
	scalarBytes = 32
	// SignatureBytes is the length of r and s, and of the byte that tells which of the possible keys it is.
	SignatureBytes = 2*scalarBytes + 1
)

// Sign signs a hash together with the others at the table, and returns r, s and the recovery id (0 to 3) when the
// signature verifies. The signature is the same at all of them.
func Sign(ctx context.Context, table *Table, share *Share, hash []byte, link Link) ([]byte, error) {
	if len(hash) != HashBytes {
		return nil, fmt.Errorf("a hash of %d bytes instead of %d", len(hash), HashBytes)
	}
	if err := share.Fits(table); err != nil {
		return nil, err
	}
	message := new(big.Int).SetBytes(hash)
	data, err := run(ctx, table, link, func(p *tss.Parameters, out chan<- tss.Message, end chan<- *common.SignatureData) tss.Party {
		return signing.NewLocalParty(message, p, share.Data, out, end, HashBytes)
	})
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	signature := make([]byte, SignatureBytes)
	new(big.Int).SetBytes(data.GetR()).FillBytes(signature[:scalarBytes])
	new(big.Int).SetBytes(data.GetS()).FillBytes(signature[scalarBytes : 2*scalarBytes])
	copy(signature[2*scalarBytes:], data.GetSignatureRecovery())
	if !Verify(share.PublicKey(), hash, signature) {
		return nil, errors.New("the signature does not verify")
	}
	return signature, nil
}

// Verify judges a signature by the secp256k1 library alone, without anything of tss-lib.
func Verify(publicKey, hash, signature []byte) bool {
	key, err := secp256k1.ParsePubKey(publicKey)
	if err != nil || len(hash) != HashBytes || len(signature) != SignatureBytes {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:scalarBytes]) || s.SetByteSlice(signature[scalarBytes:2*scalarBytes]) {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(hash, key)
}
