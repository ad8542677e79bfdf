package threshold

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	twoOfThree = Terms{Shares: 3, Threshold: 2}
	allSeats   = []Seat{{"alice", 0}, {"bob", 1}, {"carol", 2}}
)

func table(t *testing.T, self string, seats ...Seat) *Table {
	t.Helper()
	made, err := NewTable(self, twoOfThree, seats)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// together runs a protocol for all seats in memory.
func together[R any](t *testing.T, seats []Seat, protocol func(ctx context.Context, table *Table, link Link) (R, error)) []R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	memory := NewMemory(seats)
	results, errs := make([]R, len(seats)), make([]error, len(seats))
	var running sync.WaitGroup
	for i, seat := range seats {
		running.Go(func() {
			results[i], errs[i] = protocol(ctx, table(t, seat.PartyID, seats...), memory.Link(seat.PartyID))
		})
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return results
}

func TestThreeMakeAKeyAndEveryTwoSignWithIt(t *testing.T) {
	if testing.Short() {
		t.Skip("key generation takes seconds")
	}
	shares := together(t, allSeats, func(ctx context.Context, table *Table, link Link) (*Share, error) {
		preParams, err := TestPreParams(table.Self().Index)
		if err != nil {
			return nil, err
		}
		return GenerateKey(ctx, table, preParams, link)
	})
	for _, share := range shares {
		if string(share.PublicKey()) != string(shares[0].PublicKey()) {
			t.Fatal("the parties have different keys")
		}
	}
	hash := sha256.Sum256([]byte("message"))
	for _, pair := range [][]Seat{{allSeats[0], allSeats[1]}, {allSeats[2], allSeats[1]}, {allSeats[0], allSeats[2]}} {
		signatures := together(t, pair, func(ctx context.Context, table *Table, link Link) ([]byte, error) {
			return Sign(ctx, table, reread(t, shares[table.Self().Index]), hash[:], link)
		})
		if string(signatures[0]) != string(signatures[1]) {
			t.Error("the signers have different signatures")
		}
		if !Verify(shares[0].PublicKey(), hash[:], signatures[0]) {
			t.Error("the signature does not verify")
		}
		other := sha256.Sum256([]byte("another message"))
		if Verify(shares[0].PublicKey(), other[:], signatures[0]) {
			t.Error("the signature verifies for another message")
		}
	}
	moved := table(t, "alice", Seat{"alice", 0}, Seat{"bob", 2})
	if _, err := Sign(t.Context(), moved, shares[0], hash[:], nil); err == nil {
		t.Error("a share is used beside one of another index")
	}
	if _, err := Sign(t.Context(), table(t, "alice", allSeats...), shares[0], hash[:31], nil); err == nil {
		t.Error("a short hash is signed")
	}
}

// reread is the share as it comes back from a file.
func reread(t *testing.T, share *Share) *Share {
	t.Helper()
	text, err := json.Marshal(share)
	if err != nil {
		t.Fatal(err)
	}
	again := &Share{}
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	return again
}

// script is a link that gives one message, and remembers what became of it.
type script struct {
	message Message
	settled error
}

func (s *script) Send(context.Context, Message) error { return nil }

func (s *script) Receive(context.Context) (Delivery, error) {
	return Delivery{s.message, func(err error) { s.settled = err }}, nil
}

func TestARunEndsAtAMessageThatDoesNotFit(t *testing.T) {
	preParams, err := TestPreParams(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string]Message{
		"of a stranger":       {Type: "gg18/keygen/round1", Round: 1, From: "mallory"},
		"of the party itself": {Type: "gg18/keygen/round1", Round: 1, From: "alice"},
		"without sense":       {Type: "gg18/keygen/round1", Round: 1, From: "bob", Payload: []byte("?")},
	} {
		t.Run(name, func(t *testing.T) {
			link := &script{message: message}
			if _, err := GenerateKey(t.Context(), table(t, "alice", allSeats...), preParams, link); err == nil {
				t.Error("a key was made")
			}
			if link.settled == nil {
				t.Error("the message was acknowledged")
			}
		})
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	preParams, err := TestPreParams(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	link := NewMemory(allSeats).Link("alice")
	_, err = GenerateKey(ctx, table(t, "alice", allSeats...), preParams, link)
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("ended with %v", err)
	}
}

func TestATableThatCannotBeIsRefused(t *testing.T) {
	for name, make := range map[string]func() (*Table, error){
		"a threshold of one":     func() (*Table, error) { return NewTable("alice", Terms{3, 1}, allSeats) },
		"a threshold too high":   func() (*Table, error) { return NewTable("alice", Terms{3, 4}, allSeats) },
		"too few parties":        func() (*Table, error) { return NewTable("alice", twoOfThree, allSeats[:1]) },
		"too many parties":       func() (*Table, error) { return NewTable("alice", Terms{2, 2}, allSeats) },
		"a party that is absent": func() (*Table, error) { return NewTable("dave", twoOfThree, allSeats) },
		"an index twice":         func() (*Table, error) { return NewTable("a", twoOfThree, []Seat{{"a", 1}, {"b", 1}}) },
		"a party twice":          func() (*Table, error) { return NewTable("a", twoOfThree, []Seat{{"a", 0}, {"a", 1}}) },
		"an index below":         func() (*Table, error) { return NewTable("a", twoOfThree, []Seat{{"a", -1}, {"b", 1}}) },
		"an index beyond":        func() (*Table, error) { return NewTable("a", twoOfThree, []Seat{{"a", 0}, {"b", 3}}) },
	} {
		t.Run(name, func(t *testing.T) {
			if made, err := make(); err == nil {
				t.Errorf("made %+v", made)
			}
		})
	}
}

func TestASignersKeyIsItsIndex(t *testing.T) {
	params := table(t, "carol", Seat{"carol", 2}, Seat{"alice", 0}).parameters()
	if params.Threshold() != 1 {
		t.Errorf("tss-lib is told a threshold of %d", params.Threshold())
	}
	if key := params.PartyID().KeyInt().Int64(); key != 3 || params.PartyID().Index != 1 {
		t.Errorf("carol is at %d, with the key %d", params.PartyID().Index, key)
	}
}

func TestVerifyRefusesWhatIsNoSignature(t *testing.T) {
	key := append([]byte{2}, make([]byte, 32)...)
	key[32] = 1
	tooLarge := strings.Repeat("\xff", SignatureBytes)
	for name, signature := range map[string]string{
		"empty": "", "zero": strings.Repeat("\x00", SignatureBytes), "not less than the order": tooLarge,
		"short": tooLarge[1:],
	} {
		if Verify(key, make([]byte, HashBytes), []byte(signature)) {
			t.Errorf("%s verifies", name)
		}
	}
	if Verify([]byte("no key"), make([]byte, HashBytes), make([]byte, SignatureBytes)) {
		t.Error("without a key it verifies")
	}
}

func TestTestParametersSayWhatTheyAre(t *testing.T) {
	moduli := make(map[string]bool)
	for set := range TestPreParamsCount {
		preParams, err := TestPreParams(set)
		if err != nil {
			t.Fatal(err)
		}
		moduli[preParams.NTildei.String()] = true
		text, err := testdata.ReadFile("testdata/public-test-preparams-" + string(rune('0'+set)) + ".json")
		if err != nil || !strings.Contains(string(text), "Never use it with funds") {
			t.Errorf("set %d has no warning: %v", set, err)
		}
	}
	if len(moduli) != TestPreParamsCount {
		t.Error("two sets are the same")
	}
	if _, err := TestPreParams(TestPreParamsCount); err == nil {
		t.Error("there is a set too many")
	}
}
