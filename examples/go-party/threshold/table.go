// Package threshold runs threshold ECDSA over secp256k1 (GG18, by tss-lib) for one party: key generation and signing.
// It knows nothing of the network: messages come and go over a Link.
package threshold

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/tss"
)

// Seat is a party's place in a key: its share belongs to this index, in every signature too.
type Seat struct {
	PartyID string `json:"partyId"`
	Index   int    `json:"index"`
}

// Table is who takes part in one run of a protocol, as one of them sees it.
type Table struct {
	self      int
	seats     []Seat
	shares    int
	threshold int
}

// Terms are the shape of a key: 2-of-3 has three shares and a threshold of two.
type Terms struct {
	// Shares is the number of shares, n.
	Shares int `json:"shares"`
	// Threshold is the number of parties that sign together, t. (tss-lib calls t - 1 the threshold.)
	Threshold int `json:"threshold"`
}

// NewTable seats the parties by index, and finds the one that looks at it.
func NewTable(self string, terms Terms, seats []Seat) (*Table, error) {
	if terms.Threshold < 2 || terms.Threshold > terms.Shares {
		return nil, fmt.Errorf("a threshold of %d among %d shares is not possible", terms.Threshold, terms.Shares)
	}
	if len(seats) < terms.Threshold || len(seats) > terms.Shares {
		return nil, fmt.Errorf("%d parties cannot use a %d-of-%d key", len(seats), terms.Threshold, terms.Shares)
	}
	sorted := slices.SortedFunc(slices.Values(seats), func(a, b Seat) int { return cmp.Compare(a.Index, b.Index) })
	table := &Table{self: -1, seats: sorted, shares: terms.Shares, threshold: terms.Threshold}
	for i, seat := range sorted {
		if seat.Index < 0 || seat.Index >= terms.Shares || (i > 0 && seat.Index == sorted[i-1].Index) {
			return nil, fmt.Errorf("index %d of party %s is taken, or not among %d shares", seat.Index, seat.PartyID, terms.Shares)
		}
		if slices.ContainsFunc(sorted[:i], func(other Seat) bool { return other.PartyID == seat.PartyID }) {
			return nil, fmt.Errorf("party %s has two seats", seat.PartyID)
		}
		if seat.PartyID == self {
			table.self = i
		}
	}
	if table.self < 0 {
		return nil, errors.New("this party has no seat")
	}
	return table, nil
}

// Self is the party that looks at the table.
func (t *Table) Self() Seat { return t.seats[t.self] }

// Seats are all parties, in the order of their indexes.
func (t *Table) Seats() []Seat { return slices.Clone(t.seats) }

// Terms are those of the key.
func (t *Table) Terms() Terms { return Terms{Shares: t.shares, Threshold: t.threshold} }

// parameters are what tss-lib wants to know. A party's key there is the point at which the polynomial of the secret is
// evaluated for it; 0 would be the secret itself, hence index + 1. It is the same in every run, as the share is.
func (t *Table) parameters() *tss.Parameters {
	ids := make(tss.UnSortedPartyIDs, len(t.seats))
	for i, seat := range t.seats {
		ids[i] = tss.NewPartyID(seat.PartyID, seat.PartyID, big.NewInt(int64(seat.Index)+1))
	}
	sorted := tss.SortPartyIDs(ids)
	return tss.NewParameters(tss.S256(), tss.NewPeerContext(sorted), sorted[t.self], len(sorted), t.threshold-1)
}

// position is a party's place among those that take part now.
func (t *Table) position(partyID string) (int, bool) {
	i := slices.IndexFunc(t.seats, func(seat Seat) bool { return seat.PartyID == partyID })
	return i, i >= 0
}
