package router

import "sync/atomic"

// traffic counts what goes over a connection, and what it comes through.
type traffic struct {
	sent, sentBytes, received, redelivered    atomic.Int64
	repeatedCalls, reopenedStreams            atomic.Int64
	skippedAcknowledgements, acknowledgements atomic.Int64
	cuts                                      atomic.Int64
}

// Figures are the counts of a moment.
type Figures struct {
	// Sent are messages, however many they went to; bytes are those of their payloads.
	Sent      int64 `json:"sent"`
	SentBytes int64 `json:"sentBytes"`
	// Received are messages given to the reader; Redelivered came once more and were not.
	Received    int64 `json:"received"`
	Redelivered int64 `json:"redelivered"`
	// Acknowledged are answered acknowledgements, repeated ones among them.
	Acknowledged int64 `json:"acknowledged"`
	// RepeatedCalls had no answer the first time; ReopenedStreams broke.
	RepeatedCalls   int64 `json:"repeatedCalls"`
	ReopenedStreams int64 `json:"reopenedStreams"`
	// SkippedAcknowledgements and Cuts are faults that were asked for.
	SkippedAcknowledgements int64 `json:"skippedAcknowledgements"`
	Cuts                    int64 `json:"cuts"`
}

func (t *traffic) figures() Figures {
	return Figures{
		Sent:                    t.sent.Load(),
		SentBytes:               t.sentBytes.Load(),
		Received:                t.received.Load(),
		Redelivered:             t.redelivered.Load(),
		Acknowledged:            t.acknowledgements.Load(),
		RepeatedCalls:           t.repeatedCalls.Load(),
		ReopenedStreams:         t.reopenedStreams.Load(),
		SkippedAcknowledgements: t.skippedAcknowledgements.Load(),
		Cuts:                    t.cuts.Load(),
	}
}

// Plus adds up.
func (f Figures) Plus(other Figures) Figures {
	return Figures{
		Sent:                    f.Sent + other.Sent,
		SentBytes:               f.SentBytes + other.SentBytes,
		Received:                f.Received + other.Received,
		Redelivered:             f.Redelivered + other.Redelivered,
		Acknowledged:            f.Acknowledged + other.Acknowledged,
		RepeatedCalls:           f.RepeatedCalls + other.RepeatedCalls,
		ReopenedStreams:         f.ReopenedStreams + other.ReopenedStreams,
		SkippedAcknowledgements: f.SkippedAcknowledgements + other.SkippedAcknowledgements,
		Cuts:                    f.Cuts + other.Cuts,
	}
}
