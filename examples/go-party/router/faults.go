package router

import "math/rand/v2"

// Faults are made on purpose, to see that a party comes through. A party that means well has none.
type Faults struct {
	// SkipAcknowledgements is the share of acknowledgements that are not sent, from 0 to 1: those messages come again.
	SkipAcknowledgements float64
	// CutEvery cuts the stream of messages after every so many of them; 0 never does.
	CutEvery int
}

func (f Faults) skipsAcknowledgement() bool { return rand.Float64() < f.SkipAcknowledgements }

// cutter says after each message of a session whether the stream is to be cut.
func (f Faults) cutter() func() bool {
	count := 0
	return func() bool {
		count++
		return f.CutEvery > 0 && count%f.CutEvery == 0
	}
}
