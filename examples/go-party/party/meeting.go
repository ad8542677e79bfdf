package party

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
	"mpc-router/go-party/router"
	"mpc-router/go-party/threshold"
)

// meet joins a session, runs its protocol, reports, and waits until everybody has.
func (p *Party) meet(ctx context.Context, invitation *routerv1.SessionEvent, c *course, log *slog.Logger) (made, error) {
	if err := p.Approve(ctx, invitation); err != nil {
		return made{}, fmt.Errorf("not approved: %w", err)
	}
	session := p.Client.Session(invitation.GetSessionId())
	joined, err := session.Join(ctx, invitation.GetJoinTokens()[p.PartyID])
	if err != nil {
		return made{}, fmt.Errorf("join: %w", err)
	}
	// Before the party is ready: what this needs must be there, or the others wait in vain.
	run, err := p.prepare(ctx, invitation, joined)
	if err != nil {
		return made{}, err
	}
	inbox := session.OpenInbox(ctx)
	defer inbox.Close()
	link := &mail{
		session: session, inbox: inbox, identity: p.Identity, peers: p.Peers, indexes: joined.Indexes, log: log,
		place: place{invitation.GetSessionId(), p.PartyID, run.publicKey},
	}
	if err := session.Ready(ctx); err != nil {
		return made{}, fmt.Errorf("ready: %w", err)
	}
	if err := c.started.wait(ctx); err != nil {
		return made{}, err
	}
	log.Info("the session has started", "parties", len(joined.Indexes))
	result := made{began: time.Now()}
	if err := run.protocol(ctx, link, &result); err != nil {
		return result, err
	}
	result.ended = time.Now()
	// What is not acknowledged when the session ends counts as failed.
	inbox.Flush()
	if err := session.Report(ctx, result.report()); err != nil {
		return result, fmt.Errorf("report: %w", err)
	}
	if err := c.completed.wait(ctx); err != nil {
		return result, err
	}
	if joined.Type == "keygen" {
		err = p.Store.Keep(invitation.GetSessionId())
	}
	return result, err
}

// run is a protocol with everything it needs.
type run struct {
	// publicKey is that of the share to sign with, in hex; empty for a new key.
	publicKey string
	protocol  func(ctx context.Context, link threshold.Link, result *made) error
}

func (p *Party) prepare(ctx context.Context, invitation *routerv1.SessionEvent, joined *router.Joined) (*run, error) {
	seats := make([]threshold.Seat, 0, len(joined.Indexes))
	for partyID, index := range joined.Indexes {
		if partyID != p.PartyID && p.Peers[partyID] == nil {
			return nil, fmt.Errorf("%w: %s", errUnknownPeer, partyID)
		}
		seats = append(seats, threshold.Seat{PartyID: partyID, Index: index})
	}
	terms := threshold.Terms{Shares: joined.Shares, Threshold: joined.Threshold}
	table, err := threshold.NewTable(p.PartyID, terms, seats)
	if err != nil {
		return nil, err
	}
	if joined.Type == "sign" {
		return p.signing(table, joined.MessageHash)
	}
	return p.keygen(ctx, table, invitation)
}

func (p *Party) keygen(ctx context.Context, table *threshold.Table, invitation *routerv1.SessionEvent) (*run, error) {
	sessionID := invitation.GetSessionId()
	// All was said and done when this was stored; the party only went down before it was known to everybody.
	if share, err := p.Store.GetPending(sessionID); !errors.Is(err, ErrNoShare) {
		return &run{protocol: func(_ context.Context, _ threshold.Link, result *made) error {
			result.publicKey = share.PublicKey()
			return nil
		}}, err
	}
	preParams, err := p.PreParams(ctx)
	if err != nil {
		return nil, err
	}
	return &run{protocol: func(ctx context.Context, link threshold.Link, result *made) error {
		share, err := threshold.GenerateKey(ctx, table, preParams, link)
		if err != nil {
			return err
		}
		result.publicKey = share.PublicKey()
		// Before it is reported: a key is good for nothing once its shares are lost.
		return p.Store.PutPending(sessionID, invitation.GetCreatedAt(), share)
	}}, nil
}

func (p *Party) signing(table *threshold.Table, hash []byte) (*run, error) {
	share, err := p.Store.Find(table)
	if err != nil {
		return nil, err
	}
	publicKey := share.PublicKey()
	return &run{hex.EncodeToString(publicKey), func(ctx context.Context, link threshold.Link, result *made) (err error) {
		result.publicKey = publicKey
		result.signature, err = threshold.Sign(ctx, table, share, hash, link)
		return err
	}}, nil
}
