package router

import (
	"context"

	"google.golang.org/grpc/metadata"

	routerv1 "mpc-router/go-party/gen/mpc/router/v1"
)

// Session is a session as one of its parties uses it.
type Session struct {
	client *Client
	id     string
}

// Session is the way into a session that an event has announced.
func (c *Client) Session(id string) *Session { return &Session{c, id} }

// Joined is what joining tells.
type Joined struct {
	// Type is keygen or sign.
	Type        string
	Shares      int
	Threshold   int
	MessageHash []byte
	// Indexes are those of all selected parties, this one among them.
	Indexes map[string]int
}

// Join enters with the token of the event. It is safe to repeat, also after the start.
func (s *Session) Join(ctx context.Context, token string) (*Joined, error) {
	self := s.client.self
	answer, err := call(ctx, &s.client.traffic, unary(s.client.router.JoinSession), &routerv1.JoinSessionRequest{
		SessionId: s.id, PartyId: self.PartyID, JoinToken: token,
		DeviceInfo: &routerv1.DeviceInfo{
			DeviceType: "server", DeviceId: self.PartyID, Platform: "go", AppVersion: self.Version,
		},
	})
	if err != nil {
		return nil, err
	}
	info := answer.GetSessionInfo()
	joined := &Joined{
		Type:        info.GetSessionType(),
		Shares:      int(info.GetThresholdN()),
		Threshold:   int(info.GetThresholdT()),
		MessageHash: info.GetMessageHash(),
		Indexes:     map[string]int{self.PartyID: int(answer.GetPartyIndex())},
	}
	for _, other := range answer.GetOtherParties() {
		joined.Indexes[other.GetPartyId()] = int(other.GetPartyIndex())
	}
	return joined, nil
}

// Ready says that the party may start. The last one to say so starts the session.
func (s *Session) Ready(ctx context.Context) error {
	request := &routerv1.MarkPartyReadyRequest{SessionId: s.id, PartyId: s.client.self.PartyID}
	_, err := call(ctx, &s.client.traffic, unary(s.client.router.MarkPartyReady), request)
	return err
}

// Status is created, in_progress, completed, failed or expired.
func (s *Session) Status(ctx context.Context) (string, error) {
	request := &routerv1.GetSessionStatusRequest{SessionId: s.id}
	answer, err := call(ctx, &s.client.traffic, unary(s.client.router.GetSessionStatus), request)
	return answer.GetStatus(), err
}

// Result is what a party reports: the public key of a keygen session, the signature of a sign session.
type Result struct {
	PublicKey []byte
	Signature []byte
}

// Report says that the party is done. The session is completed when all report the same.
func (s *Session) Report(ctx context.Context, result Result) error {
	_, err := call(ctx, &s.client.traffic, unary(s.client.router.ReportCompletion), &routerv1.ReportCompletionRequest{
		SessionId: s.id, PartyId: s.client.self.PartyID, PublicKey: result.PublicKey, Signature: result.Signature,
	})
	return err
}

// Outgoing is a message to send.
type Outgoing struct {
	// Key tells this message from every other that this party sends in this session.
	Key string
	// To is empty for a broadcast to everybody else.
	To      []string
	Round   int
	Type    string
	Payload []byte
}

// Send returns when the message is durable for every recipient. However often the call is repeated, each of them gets it
// once. An earlier life of this party may have sent something else under the same key: then the router refuses, and it
// should, for a party that says two different things in one round breaks the protocol.
func (s *Session) Send(ctx context.Context, message Outgoing) error {
	ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", message.Key)
	_, err := call(ctx, &s.client.traffic, unary(s.client.router.RouteMessage), &routerv1.RouteMessageRequest{
		SessionId: s.id, FromParty: s.client.self.PartyID, ToParties: message.To,
		RoundNumber: int32(message.Round), MessageType: message.Type, Payload: message.Payload,
	})
	if err != nil {
		return err
	}
	s.client.traffic.sent.Add(1)
	s.client.traffic.sentBytes.Add(int64(len(message.Payload)))
	return nil
}
