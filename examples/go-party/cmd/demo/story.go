package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	coordinatorv1 "mpc-router/go-party/gen/mpc/coordinator/v1"
	"mpc-router/go-party/party"
	"mpc-router/go-party/router"
	"mpc-router/go-party/threshold"
)

const (
	shares  = 3
	signers = 2
)

// result is what --json prints.
type result struct {
	PublicKey  string         `json:"publicKey"`
	Keygen     time.Duration  `json:"keygenNanos"`
	Signatures []signed       `json:"signatures"`
	Figures    router.Figures `json:"figures"`
	Comparison *comparison    `json:"comparison,omitempty"`
}

// signed is one signature, and how long it took.
type signed struct {
	Signers   []string `json:"signers"`
	Hash      string   `json:"hash"`
	Signature string   `json:"signature"`
	Verified  bool     `json:"verified"`
	// Session is from the creation of the session to its completion, Protocol from the first signer's first message to the
	// last signer's signature.
	Session  time.Duration `json:"sessionNanos"`
	Protocol time.Duration `json:"protocolNanos"`
}

// demo is one run of the program.
type demo struct {
	options
	crew        *crew
	coordinator *router.Coordinator
	out         io.Writer
	figures     map[string]router.Figures
	keygenID    string
	publicKey   []byte
}

// perform makes a key and signatures, and fails if one of them does not verify.
func perform(ctx context.Context, o options, out io.Writer) (r *result, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	folder, err := os.MkdirTemp("", "mpc-router-go-party-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	crew, err := newCrew(o, folder, fail)
	if err != nil {
		return nil, err
	}
	connection, err := router.Connect(o.addr, o.accessOf("coordinator"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	defer crew.running.Wait()
	defer fail(nil)
	crew.start(ctx)
	d := &demo{
		options: o, crew: crew, out: out,
		coordinator: router.NewCoordinator(connection), figures: make(map[string]router.Figures),
	}
	return d.tell(ctx)
}

func (d *demo) tell(ctx context.Context) (*result, error) {
	d.say("%s meet at the router on %s.", strings.Join(d.crew.ids, ", "), d.addr)
	if !d.fresh {
		d.say("Their safe primes are public test parameters: this key protects nothing.")
	}
	r := &result{}
	var err error
	if r.Keygen, err = d.makeKey(ctx); err != nil {
		return nil, err
	}
	r.PublicKey = hex.EncodeToString(d.publicKey)
	comparing := d.newComparison()
	for i := range d.signings {
		pair := []string{d.crew.ids[i%shares], d.crew.ids[(i+1)%shares]}
		one, err := d.sign(ctx, i, pair)
		if err != nil {
			return nil, err
		}
		r.Signatures = append(r.Signatures, *one)
		if err := comparing.once(ctx, d, one); err != nil {
			return nil, err
		}
	}
	for _, figures := range d.figures {
		r.Figures = r.Figures.Plus(figures)
	}
	d.sayFigures(r.Figures)
	r.Comparison = comparing.end(d)
	return r, nil
}

func (d *demo) makeKey(ctx context.Context) (time.Duration, error) {
	d.say("Key generation, %d-of-%d:", signers, shares)
	session, _, took, err := d.session(ctx, &coordinatorv1.CreateSessionRequest{
		SessionType: "keygen", SelectedParties: d.crew.ids,
	})
	if err != nil {
		return 0, fmt.Errorf("key generation: %w", err)
	}
	d.keygenID, d.publicKey = session.GetSessionId(), session.GetPublicKey()
	d.say("  session     %s, %v", d.keygenID, took.Round(time.Millisecond))
	d.say("  public key  %x", d.publicKey)
	return took, nil
}

func (d *demo) sign(ctx context.Context, number int, pair []string) (*signed, error) {
	text := fmt.Sprintf("message %d of the demo", number+1)
	hash := sha256.Sum256([]byte(text))
	d.say("Signing of %q by %s:", text, strings.Join(pair, " and "))
	session, outcomes, took, err := d.session(ctx, &coordinatorv1.CreateSessionRequest{
		SessionType: "sign", SelectedParties: pair, MessageHash: hash[:], KeygenSessionId: d.keygenID,
	})
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	one := &signed{
		Signers:   pair,
		Hash:      hex.EncodeToString(hash[:]),
		Signature: hex.EncodeToString(session.GetSignature()),
		Verified:  threshold.Verify(d.publicKey, hash[:], session.GetSignature()),
		Session:   took,
		Protocol:  protocolTime(outcomes),
	}
	d.say("  session     %s, %v, the protocol %v of it", session.GetSessionId(),
		took.Round(time.Millisecond), one.Protocol.Round(time.Millisecond))
	d.say("  hash        %s", one.Hash)
	d.say("  signature   %s", one.Signature)
	if !one.Verified {
		return nil, errors.New("the signature does not verify")
	}
	d.say("  verified    (ECDSA over secp256k1)")
	return one, nil
}

// session has a session made and waits for its end, at the router and at every party.
func (d *demo) session(ctx context.Context, request *coordinatorv1.CreateSessionRequest) (
	session *coordinatorv1.Session, outcomes []party.Outcome, took time.Duration, err error,
) {
	request.RequestId = "demo-" + rand.Text()
	request.ThresholdN, request.ThresholdT = shares, signers
	began := time.Now()
	created, err := d.coordinator.Create(ctx, request)
	if err != nil {
		return nil, nil, 0, err
	}
	// A party that fails says so; the session itself would only expire.
	outcomes, err = d.crew.outcomes(ctx, created.GetSessionId(), len(request.GetSelectedParties()))
	if err != nil {
		return nil, nil, 0, err
	}
	session, err = d.coordinator.Await(ctx, created.GetSessionId())
	for _, outcome := range outcomes {
		d.figures[outcome.PartyID] = outcome.Figures
	}
	return session, outcomes, time.Since(began), err
}

func protocolTime(outcomes []party.Outcome) time.Duration {
	began, ended := outcomes[0].Began, outcomes[0].Ended
	for _, outcome := range outcomes {
		began, ended = min(began, outcome.Began), max(ended, outcome.Ended)
	}
	return time.Duration(ended-began) * time.Microsecond
}

func (d *demo) sayFigures(f router.Figures) {
	d.say("%d messages sent (%d kB), %d received, %d acknowledged.", f.Sent, f.SentBytes/1000, f.Received, f.Acknowledged)
	if f.SkippedAcknowledgements+f.Cuts > 0 {
		d.say("On purpose: %d acknowledgements not sent, %d streams cut.", f.SkippedAcknowledgements, f.Cuts)
	}
	if f.Redelivered+f.ReopenedStreams+f.RepeatedCalls > 0 {
		d.say("Came through: %d messages came again, %d streams were opened again, %d calls repeated.",
			f.Redelivered, f.ReopenedStreams, f.RepeatedCalls)
	}
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }
