package threshold

import (
	"context"
	"errors"
	"fmt"

	"github.com/bnb-chain/tss-lib/v2/ecdsa/keygen"
	"github.com/bnb-chain/tss-lib/v2/tss"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Share is a party's part of a key. It is a secret.
type Share struct {
	Terms Terms                     `json:"terms"`
	Self  Seat                      `json:"self"`
	Seats []Seat                    `json:"seats"`
	Data  keygen.LocalPartySaveData `json:"data"`
}

// GenerateKey makes a key together with the others. All of them must be at the table.
func GenerateKey(ctx context.Context, table *Table, preParams PreParams, link Link) (*Share, error) {
	if len(table.seats) != table.shares {
		return nil, fmt.Errorf("%d of %d parties cannot make a key", len(table.seats), table.shares)
	}
	if !preParams.ValidateWithProof() {
		return nil, errors.New("the pre-parameters are not complete")
	}
	data, err := run(ctx, table, link, func(p *tss.Parameters, out chan<- tss.Message, end chan<- *keygen.LocalPartySaveData) tss.Party {
		return keygen.NewLocalParty(p, out, end, preParams)
	})
	if err != nil {
		return nil, fmt.Errorf("key generation: %w", err)
	}
	return &Share{Terms: table.Terms(), Self: table.Self(), Seats: table.Seats(), Data: *data}, nil
}

// PublicKey is the key that all shares together stand for, compressed (33 bytes).
func (s *Share) PublicKey() []byte {
	var x, y secp256k1.FieldVal
	x.SetByteSlice(s.Data.ECDSAPub.X().Bytes())
	y.SetByteSlice(s.Data.ECDSAPub.Y().Bytes())
	return secp256k1.NewPublicKey(&x, &y).SerializeCompressed()
}

// Fits checks that a share can be used by the parties of a table: each with the index it had when the key was made.
func (s *Share) Fits(table *Table) error {
	if s.Terms != table.Terms() || s.Self != table.Self() {
		return errors.New("the share is of another key or party")
	}
	for _, seat := range table.seats {
		if seat.Index >= len(s.Seats) || s.Seats[seat.Index] != seat {
			return fmt.Errorf("party %s had another index when the key was made", seat.PartyID)
		}
	}
	return nil
}
