package party

import (
	"encoding/hex"
	"time"

	"mpc-router/go-party/router"
)

// Outcome is what became of a session at one party. Nothing in it is secret.
type Outcome struct {
	PartyID   string `json:"partyId"`
	SessionID string `json:"sessionId"`
	// Type is keygen or sign.
	Type string `json:"type"`
	// Error is empty if all went well.
	Error     string `json:"error,omitempty"`
	PublicKey string `json:"publicKey,omitempty"`
	Signature string `json:"signature,omitempty"`
	// Began and Ended are when the protocol ran, without invitation and report, in Unix microseconds.
	Began int64 `json:"beganMicros"`
	Ended int64 `json:"endedMicros"`
	// Figures are the party's, over all sessions so far.
	Figures router.Figures `json:"figures"`
}

// made is what a protocol ended in.
type made struct {
	publicKey, signature []byte
	began, ended         time.Time
}

// report is what the router is told: the signature, or the public key if that was made.
func (m made) report() router.Result {
	if len(m.signature) > 0 {
		return router.Result{Signature: m.signature}
	}
	return router.Result{PublicKey: m.publicKey}
}

func (o *Outcome) fill(m made) {
	o.PublicKey, o.Signature = hex.EncodeToString(m.publicKey), hex.EncodeToString(m.signature)
	o.Began, o.Ended = m.began.UnixMicro(), m.ended.UnixMicro()
}
