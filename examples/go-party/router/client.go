package router

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

const (
	// A third of the time after which the router takes a silent party for offline.
	heartbeatInterval = 20 * time.Second

	// Events that may come again after a break: those of a day's sessions, for a party that is busy.
	rememberedEvents = 16_384
)

// Client is a party's way to the router.
type Client struct {
	*Connection
	self Self
	log  *slog.Logger
}

// Self is how a party registers.
type Self struct {
	PartyID string
	// Role is persistent, delegate or temporary.
	Role    string
	Version string
	Faults  Faults
}

// NewClient speaks for a party.
func NewClient(connection *Connection, self Self, log *slog.Logger) *Client {
	return &Client{connection, self, log}
}

// Register makes the party known. It is safe to repeat, and outlives restarts of the router.
func (c *Client) Register(ctx context.Context) error {
	_, err := call(ctx, &c.traffic, unary(c.router.RegisterParty), &routerv1.RegisterPartyRequest{
		PartyId: c.self.PartyID, PartyRole: c.self.Role, Version: c.self.Version,
	})
	return err
}

// KeepAlive sends heartbeats until the context ends. A router that has lost its data is told of the party again.
func (c *Client) KeepAlive(ctx context.Context) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			request := &routerv1.HeartbeatRequest{PartyId: c.self.PartyID, Timestamp: now.UnixMilli()}
			_, err := call(ctx, &c.traffic, unary(c.router.Heartbeat), request)
			if Reason(err) == "PARTY_NOT_FOUND" {
				err = c.Register(ctx)
			}
			if err != nil && ctx.Err() == nil {
				c.log.Warn("no heartbeat", "error", err)
			}
		}
	}
}

// Events yields the events of sessions that select the party, each once: those of all live sessions first. After a break
// it goes on where it was.
func (c *Client) Events(ctx context.Context) iter.Seq2[*routerv1.SessionEvent, error] {
	return func(yield func(*routerv1.SessionEvent, error) bool) {
		seen := newRecent(rememberedEvents)
		lastEventID := ""
		events := source[routerv1.SessionEvent]{
			open: func(ctx context.Context) (grpc.ServerStreamingClient[routerv1.SessionEvent], error) {
				if lastEventID != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "last-event-id", lastEventID)
				}
				request := &routerv1.SubscribeSessionEventsRequest{PartyId: c.self.PartyID}
				return c.router.SubscribeSessionEvents(ctx, request)
			},
			traffic: &c.traffic,
		}
		for event, err := range events.all(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if seen.add(event.GetEventId()) && !yield(event, nil) {
				return
			}
			lastEventID = event.GetEventId()
		}
		yield(nil, errors.New("the router has ended the stream of session events"))
	}
}

// unary leaves out the options of a generated method.
func unary[Q, A any](method func(context.Context, Q, ...grpc.CallOption) (A, error)) func(context.Context, Q) (A, error) {
	return func(ctx context.Context, request Q) (A, error) { return method(ctx, request) }
}
