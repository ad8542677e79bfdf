package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	coordinatorv1 "mpc-router/interop/gen/mpc/coordinator/v1"
	routerv1 "mpc-router/interop/gen/mpc/router/v1"
)

// client is one connection to the router.
type client struct {
	conn     *grpc.ClientConn
	router   routerv1.MessageRouterClient
	sessions coordinatorv1.SessionCoordinatorClient
}

func dial(addr string) *client {
	credentials := insecure.NewCredentials()
	conn := answer(grpc.NewClient(addr, grpc.WithTransportCredentials(credentials)))
	return &client{
		conn:     conn,
		router:   routerv1.NewMessageRouterClient(conn),
		sessions: coordinatorv1.NewSessionCoordinatorClient(conn),
	}
}

func (c *client) close() { _ = c.conn.Close() }

// party is one party, with a connection of its own.
type party struct {
	*client
	id     string
	role   string
	index  int32
	token  string
	events *feed[routerv1.SessionEvent]
}

// parties are the parties of a session, in the order of their indexes.
type parties []*party

// seat registers parties of these roles under ids that nobody used before, and subscribes each to its events.
func seat(ctx context.Context, addr string, roles ...string) parties {
	suffix := unique()
	table := make(parties, len(roles))
	for i, role := range roles {
		id := fmt.Sprintf("go-%s-%d-%s", role, i, suffix)
		table[i] = &party{client: dial(addr), id: id, role: role, index: int32(i)}
	}
	step(fmt.Sprintf("parties register (%v) and have the headers of an idle event stream", roles), func() {
		together(table, func(p *party) {
			registration := &routerv1.RegisterPartyRequest{PartyId: p.id, PartyRole: p.role, Version: "interop/1"}
			first := answer(p.router.RegisterParty(ctx, registration))
			require(first.GetSuccess() && first.GetRegisteredAt() > 0, "registered as %v", first)
			again := answer(p.router.RegisterParty(ctx, registration))
			equal("registered_at of the second time", again.GetRegisteredAt(), first.GetRegisteredAt())
			request := &routerv1.SubscribeSessionEventsRequest{PartyId: p.id}
			p.events = open(p.router.SubscribeSessionEvents(ctx, request))
		})
	})
	return table
}

func (t parties) close() {
	for _, p := range t {
		p.close()
	}
}

func (t parties) ids() []string {
	ids := make([]string, len(t))
	for i, p := range t {
		ids[i] = p.id
	}
	return ids
}

// event passes over other events until that one of the session comes.
func (p *party) event(sessionID, eventType string) *routerv1.SessionEvent {
	return p.events.until(func(event *routerv1.SessionEvent) bool {
		return event.GetSessionId() == sessionID && event.GetEventType() == eventType
	})
}

func (p *party) join(ctx context.Context, sessionID string) *routerv1.JoinSessionResponse {
	return answer(p.router.JoinSession(ctx, &routerv1.JoinSessionRequest{
		SessionId: sessionID,
		PartyId:   p.id,
		JoinToken: p.token,
		DeviceInfo: &routerv1.DeviceInfo{
			DeviceType: "server", DeviceId: p.id, Platform: "go", AppVersion: "interop/1",
		},
	}))
}

func (p *party) ready(ctx context.Context, sessionID string) *routerv1.MarkPartyReadyResponse {
	request := &routerv1.MarkPartyReadyRequest{SessionId: sessionID, PartyId: p.id}
	return answer(p.router.MarkPartyReady(ctx, request))
}

func (p *party) subscribe(ctx context.Context, sessionID string) *feed[routerv1.MPCMessage] {
	request := &routerv1.SubscribeMessagesRequest{SessionId: sessionID, PartyId: p.id}
	return open(p.router.SubscribeMessages(ctx, request))
}

// message is one to send; nobody named is a broadcast.
func (p *party) message(sessionID, payload string, to ...string) *routerv1.RouteMessageRequest {
	return &routerv1.RouteMessageRequest{
		SessionId: sessionID, FromParty: p.id, ToParties: to,
		RoundNumber: 1, MessageType: "interop/round1", Payload: []byte(payload),
	}
}

func (p *party) acknowledgement(sessionID, messageID string) *routerv1.AcknowledgeMessageRequest {
	return &routerv1.AcknowledgeMessageRequest{
		SessionId: sessionID, PartyId: p.id, MessageId: messageID, Success: true,
	}
}

// start takes a new session to in_progress: everybody is invited, joins, is ready and hears of the start.
func (t parties) start(ctx context.Context, created *coordinatorv1.CreateSessionResponse) string {
	sessionID := created.GetSession().GetSessionId()
	together(t, func(p *party) {
		p.token = p.event(sessionID, "session_created").GetJoinTokens()[p.id]
		equal("the token of the event", p.token, created.GetJoinTokens()[p.id])
		p.index = p.join(ctx, sessionID).GetPartyIndex()
		p.ready(ctx, sessionID)
		p.event(sessionID, "session_started")
	})
	return sessionID
}

// unique is different in each run and each use.
func unique() string {
	random := make([]byte, 6)
	answer(rand.Read(random))
	return hex.EncodeToString(random)
}
