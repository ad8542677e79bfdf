// Package party is one party of a threshold key as a service: it registers with a router, waits for sessions that want
// it, and makes keys and signatures in them.
package party

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
	"mpc-router/go-party/router"
	"mpc-router/go-party/seal"
	"mpc-router/go-party/threshold"
)

const (
	// More sessions than this at a time wait: each is work for all cores.
	sessionsAtATime = 8

	// Clocks differ; the router's own clock ends a session, this one only forgets it.
	expiryMargin = time.Minute
)

var errUnknownPeer = errors.New("the public identity of a party is not known")

// Config is what a party needs. All of it is required but OnEnd.
type Config struct {
	PartyID  string
	Client   *router.Client
	Store    *Store
	Identity *seal.Identity
	Peers    Peers
	// PreParams gives parameters for one key.
	PreParams func(context.Context) (threshold.PreParams, error)
	// Approve is asked before a session is joined: here a wallet decides what its share is used for.
	Approve func(context.Context, *routerv1.SessionEvent) error
	Log     *slog.Logger
	// OnEnd hears what became of each session. Several calls may run at a time.
	OnEnd func(Outcome)
}

// Party is one party.
type Party struct {
	Config
	slots   chan struct{}
	running sync.WaitGroup
	mutex   sync.Mutex
	courses map[string]*course
}

// New makes a party that does nothing yet.
func New(config Config) *Party {
	return &Party{Config: config, slots: make(chan struct{}, sessionsAtATime), courses: make(map[string]*course)}
}

// Serve takes part in sessions until the context ends.
func (p *Party) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer p.running.Wait()
	defer stop()
	if err := p.Client.Register(ctx); err != nil {
		return err
	}
	p.Log.Info("registered")
	if err := p.keepCompleted(ctx); err != nil {
		return err
	}
	p.running.Go(func() { p.Client.KeepAlive(ctx) })
	for event, err := range p.Client.Events(ctx) {
		if err != nil {
			return err
		}
		p.handle(ctx, event)
	}
	return nil
}

// keepCompleted looks after shares of sessions that ended while the party was away.
func (p *Party) keepCompleted(ctx context.Context) error {
	pending, err := p.Store.Pending()
	if err != nil {
		return err
	}
	for _, sessionID := range pending {
		status, err := p.Client.Session(sessionID).Status(ctx)
		p.Log.Info("a share waits for the end of its session", "session", sessionID, "status", status, "error", err)
		if status != "completed" {
			continue
		}
		if err := p.Store.Keep(sessionID); err != nil {
			return err
		}
	}
	return nil
}

func (p *Party) handle(ctx context.Context, event *routerv1.SessionEvent) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	sessionID := event.GetSessionId()
	if c, known := p.courses[sessionID]; known {
		c.follow(event)
		return
	}
	if event.GetEventType() != "session_created" {
		return
	}
	ctx, fail := context.WithCancelCause(ctx)
	c := newCourse(fail)
	p.courses[sessionID] = c
	p.running.Go(func() {
		p.attend(ctx, event, c)
		fail(nil)
		p.mutex.Lock()
		defer p.mutex.Unlock()
		delete(p.courses, sessionID)
	})
}

// attend takes part in a session to its end, and says what became of it.
func (p *Party) attend(ctx context.Context, invitation *routerv1.SessionEvent, c *course) {
	expiry := time.UnixMilli(invitation.GetExpiresAt()).Add(expiryMargin)
	ctx, cancel := context.WithDeadline(ctx, expiry)
	defer cancel()
	outcome := Outcome{PartyID: p.PartyID, SessionID: invitation.GetSessionId(), Type: "keygen"}
	if len(invitation.GetMessageHash()) > 0 {
		outcome.Type = "sign"
	}
	log := p.Log.With("session", outcome.SessionID, "type", outcome.Type)
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return
	}
	m, err := p.meet(ctx, invitation, c, log)
	outcome.fill(m)
	if err != nil {
		outcome.Error = err.Error()
		log.Error("the session did not come to its end here", "error", err)
	} else {
		log.Info("the session is completed", "protocol", m.ended.Sub(m.began))
	}
	outcome.Figures = p.Client.Figures()
	if p.OnEnd != nil {
		p.OnEnd(outcome)
	}
}
