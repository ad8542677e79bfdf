package main

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	coordinatorv1 "mpc-router/interop/gen/mpc/coordinator/v1"
	routerv1 "mpc-router/interop/gen/mpc/router/v1"
)

const orderedMessages = 20

// keygen is a running key generation of three parties.
type keygen struct {
	ctx         context.Context
	coordinator *client
	table       parties
	sessionID   string
	watch       *feed[coordinatorv1.Session]
	mail        []*feed[routerv1.MPCMessage]
}

// checkKeygen runs a whole keygen session, message by message, and returns its id.
func checkKeygen(ctx context.Context, coordinator *client, table parties) string {
	k := &keygen{ctx: ctx, coordinator: coordinator, table: table}
	step("a session is created, once for one request_id, and each party hears of its own token", k.create)
	step("parties join with their own token only", k.join)
	step("the session starts when the last party is ready", k.start)
	step("a broadcast reaches everybody else, also who subscribes later", k.broadcast)
	step("a message to one party reaches that one", k.direct)
	step("a repeat under the same Idempotency-Key is the same message", k.repeat)
	step("messages arrive in the order they were sent", k.order)
	step("what a recipient refuses comes again", k.refuse)
	step("a new stream takes over from the old one, and loses nothing", k.supersede)
	step("a refusal says which rule it follows", k.refusals)
	step("the session is completed when all have reported the same", k.complete)
	step("an ended session takes no messages, and shows its key", k.ended)
	return k.sessionID
}

func (k *keygen) create() {
	request := &coordinatorv1.CreateSessionRequest{
		RequestId: "go-" + unique(), SessionType: "keygen",
		ThresholdN: 3, ThresholdT: 2, SelectedParties: k.table.ids(),
	}
	created := answer(k.coordinator.sessions.CreateSession(k.ctx, request))
	session := created.GetSession()
	k.sessionID = session.GetSessionId()
	equal("status", session.GetStatus(), "created")
	require(session.GetExpiresAt() > session.GetCreatedAt(), "expires at %d", session.GetExpiresAt())
	again := answer(k.coordinator.sessions.CreateSession(k.ctx, request))
	equal("session_id of the repeat", again.GetSession().GetSessionId(), k.sessionID)
	watching := &coordinatorv1.WatchSessionRequest{SessionId: k.sessionID}
	k.watch = open(k.coordinator.sessions.WatchSession(k.ctx, watching))
	equal("the first state of the watch", k.watch.next().GetStatus(), "created")
	together(k.table, func(p *party) {
		event := p.event(k.sessionID, "session_created")
		equal("threshold_n", event.GetThresholdN(), 3)
		equal("threshold_t", event.GetThresholdT(), 2)
		equal("selected_parties", fmt.Sprint(event.GetSelectedParties()), fmt.Sprint(k.table.ids()))
		equal("the number of tokens", len(event.GetJoinTokens()), 1)
		p.token = event.GetJoinTokens()[p.id]
		require(p.token != "", "the event has no token")
		equal("the token of the repeat", again.GetJoinTokens()[p.id], p.token)
	})
}

func (k *keygen) join() {
	alice, bob := k.table[0], k.table[1]
	refused(codes.FailedPrecondition, "NOT_JOINED", errorOf(
		alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "too early"))))
	refused(codes.FailedPrecondition, "NOT_JOINED", errorOf(
		alice.router.MarkPartyReady(k.ctx, &routerv1.MarkPartyReadyRequest{SessionId: k.sessionID, PartyId: alice.id})))
	stolen := &routerv1.JoinSessionRequest{SessionId: k.sessionID, PartyId: alice.id, JoinToken: bob.token}
	refused(codes.PermissionDenied, "JOIN_DENIED", errorOf(alice.router.JoinSession(k.ctx, stolen)))
	together(k.table, func(p *party) {
		joined := p.join(k.ctx, k.sessionID)
		equal("party_index", joined.GetPartyIndex(), p.index)
		equal("the number of other parties", len(joined.GetOtherParties()), len(k.table)-1)
		equal("session_type", joined.GetSessionInfo().GetSessionType(), "keygen")
		equal("party_index of the repeat", p.join(k.ctx, k.sessionID).GetPartyIndex(), p.index)
	})
}

func (k *keygen) start() {
	for i, p := range k.table {
		last := i == len(k.table)-1
		equal("all_ready", p.ready(k.ctx, k.sessionID).GetAllReady(), last)
	}
	together(k.table, func(p *party) { p.event(k.sessionID, "session_started") })
	k.watch.until(func(s *coordinatorv1.Session) bool { return s.GetStatus() == "in_progress" })
	request := &routerv1.GetSessionStatusRequest{SessionId: k.sessionID}
	status := answer(k.table[0].router.GetSessionStatus(k.ctx, request))
	equal("status", status.GetStatus(), "in_progress")
	equal("the number of participants", len(status.GetParticipants()), len(k.table))
}

func (k *keygen) broadcast() {
	alice, bob, carol := k.table[0], k.table[1], k.table[2]
	k.mail = []*feed[routerv1.MPCMessage]{alice.subscribe(k.ctx, k.sessionID), bob.subscribe(k.ctx, k.sessionID)}
	sent := answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "to all")))
	require(sent.GetSuccess() && len(sent.GetMessageId()) <= 32, "routed as %v", sent)
	k.mail = append(k.mail, carol.subscribe(k.ctx, k.sessionID))
	for _, p := range []*party{bob, carol} {
		got := k.mail[p.index].next()
		equal("message_id", got.GetMessageId(), sent.GetMessageId())
		equal("from_party", got.GetFromParty(), alice.id)
		equal("is_broadcast", got.GetIsBroadcast(), true)
		equal("round_number", got.GetRoundNumber(), 1)
		equal("message_type", got.GetMessageType(), "interop/round1")
		equal("payload", string(got.GetPayload()), "to all")
		heartbeat := &routerv1.HeartbeatRequest{PartyId: p.id, Timestamp: time.Now().UnixMilli()}
		beat := answer(p.router.Heartbeat(k.ctx, heartbeat))
		equal("pending_messages", beat.GetPendingMessages(), 1)
		k.acknowledge(p, got)
	}
	status := k.status(sent.GetMessageId())
	equal("all_acknowledged", status.GetAllAcknowledged(), true)
	for _, row := range status.GetDeliveries() {
		equal("status", row.GetStatus(), "acknowledged")
		require(0 < row.GetDeliveredAt() && row.GetDeliveredAt() <= row.GetAcknowledgedAt(), "times of %v", row)
	}
}

func (k *keygen) direct() {
	alice, bob, carol := k.table[0], k.table[1], k.table[2]
	sent := answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "to carol", carol.id)))
	got := k.mail[carol.index].next()
	equal("message_id", got.GetMessageId(), sent.GetMessageId())
	equal("is_broadcast", got.GetIsBroadcast(), false)
	equal("the number of recipients", len(k.status(sent.GetMessageId()).GetDeliveries()), 1)
	equal("the mail of bob", len(k.pending(bob)), 0)
	equal("the mail of carol", len(k.pending(carol)), 1)
	k.acknowledge(carol, got)
	equal("the mail of carol after", len(k.pending(carol)), 0)
}

func (k *keygen) repeat() {
	alice, bob := k.table[0], k.table[1]
	ctx := metadata.AppendToOutgoingContext(k.ctx, "idempotency-key", "go-"+unique())
	first := answer(alice.router.RouteMessage(ctx, alice.message(k.sessionID, "once", bob.id)))
	again := answer(alice.router.RouteMessage(ctx, alice.message(k.sessionID, "once", bob.id)))
	equal("message_id of the repeat", again.GetMessageId(), first.GetMessageId())
	refused(codes.AlreadyExists, "IDEMPOTENCY_KEY_REUSED", errorOf(
		alice.router.RouteMessage(ctx, alice.message(k.sessionID, "something else", bob.id))))
	equal("the mail of bob", len(k.pending(bob)), 1)
	k.acknowledge(bob, k.mail[bob.index].next())
	late := answer(alice.router.RouteMessage(ctx, alice.message(k.sessionID, "once", bob.id)))
	equal("message_id after the acknowledgement", late.GetMessageId(), first.GetMessageId())
	equal("the mail of bob after", len(k.pending(bob)), 0)
}

func (k *keygen) order() {
	alice, bob := k.table[0], k.table[1]
	for i := range orderedMessages {
		answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, strconv.Itoa(i), bob.id)))
	}
	var createdAt int64
	for i := range orderedMessages {
		got := k.mail[bob.index].next()
		equal("payload", string(got.GetPayload()), strconv.Itoa(i))
		require(got.GetCreatedAt() > createdAt, "created_at %d does not increase", got.GetCreatedAt())
		createdAt = got.GetCreatedAt()
		k.acknowledge(bob, got)
	}
}

func (k *keygen) refuse() {
	alice, bob := k.table[0], k.table[1]
	answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "try again", bob.id)))
	got := k.mail[bob.index].next()
	refusal := bob.acknowledgement(k.sessionID, got.GetMessageId())
	refusal.Success, refusal.ErrorMessage = false, "not now"
	answer(bob.router.AcknowledgeMessage(k.ctx, refusal))
	// The first refusal costs one second.
	again := k.mail[bob.index].nextWithin(time.Second + promptly)
	equal("message_id of the redelivery", again.GetMessageId(), got.GetMessageId())
	k.acknowledge(bob, again)
	row := k.status(got.GetMessageId()).GetDeliveries()[0]
	equal("status", row.GetStatus(), "acknowledged")
	require(row.GetRetryCount() >= 1, "retry_count is %d", row.GetRetryCount())
}

func (k *keygen) supersede() {
	alice, bob := k.table[0], k.table[1]
	sent := answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "kept", bob.id)))
	equal("message_id", k.mail[bob.index].next().GetMessageId(), sent.GetMessageId())
	newer := bob.subscribe(k.ctx, k.sessionID)
	k.mail[bob.index].endsRefused(codes.Aborted, "SUPERSEDED")
	k.mail[bob.index] = newer
	got := newer.next()
	equal("message_id on the new stream", got.GetMessageId(), sent.GetMessageId())
	k.acknowledge(bob, got)
}

func (k *keygen) refusals() {
	alice, bob, carol := k.table[0], k.table[1], k.table[2]
	refused(codes.InvalidArgument, "UNKNOWN_RECIPIENT", errorOf(
		alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "", "go-nobody"))))
	refused(codes.InvalidArgument, "UNKNOWN_RECIPIENT", errorOf(
		alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "", alice.id))))
	for _, bad := range []string{"", "a.b", "*", ">", "a b"} {
		refused(codes.InvalidArgument, "INVALID_ID", errorOf(
			alice.router.RouteMessage(k.ctx, alice.message(bad, ""))))
	}
	refused(codes.NotFound, "SESSION_NOT_FOUND", errorOf(
		alice.router.RouteMessage(k.ctx, alice.message("go-none-"+unique(), ""))))
	sent := answer(alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "for bob", bob.id)))
	refused(codes.PermissionDenied, "NOT_A_RECIPIENT", errorOf(
		carol.router.AcknowledgeMessage(k.ctx, carol.acknowledgement(k.sessionID, sent.GetMessageId()))))
	refused(codes.NotFound, "MESSAGE_NOT_FOUND", errorOf(
		carol.router.AcknowledgeMessage(k.ctx, carol.acknowledgement(k.sessionID, "go-none-"+unique()))))
	k.acknowledge(bob, k.mail[bob.index].next())
}

func (k *keygen) complete() {
	publicKey := bytes.Repeat([]byte{7}, 32)
	report := func(p *party, key []byte) (*routerv1.ReportCompletionResponse, error) {
		return p.router.ReportCompletion(k.ctx, &routerv1.ReportCompletionRequest{
			SessionId: k.sessionID, PartyId: p.id, PublicKey: key,
		})
	}
	refused(codes.InvalidArgument, "INVALID_FIELD", errorOf(report(k.table[0], nil)))
	for i, p := range k.table {
		last := i == len(k.table)-1
		equal("all_completed", answer(report(p, publicKey)).GetAllCompleted(), last)
		refused(codes.AlreadyExists, "REPORT_DIFFERS", errorOf(report(p, publicKey[1:])))
	}
	together(k.table, func(p *party) {
		p.event(k.sessionID, "session_completed")
		equal("the rest of the mail", len(k.mail[p.index].endsWell()), 0)
	})
	states := k.watch.endsWell()
	require(len(states) > 0, "the watch ended without the end of the session")
	final := states[len(states)-1]
	equal("the last state of the watch", final.GetStatus(), "completed")
	require(bytes.Equal(final.GetPublicKey(), publicKey), "the watch shows another key: %v", final)
}

func (k *keygen) ended() {
	alice := k.table[0]
	refused(codes.FailedPrecondition, "SESSION_COMPLETED", errorOf(
		alice.router.RouteMessage(k.ctx, alice.message(k.sessionID, "too late"))))
	request := &coordinatorv1.GetSessionRequest{SessionId: k.sessionID}
	session := answer(k.coordinator.sessions.GetSession(k.ctx, request)).GetSession()
	equal("status", session.GetStatus(), "completed")
	equal("the length of the key", len(session.GetPublicKey()), 32)
	require(session.GetEndedAt() >= session.GetCreatedAt(), "ended at %d", session.GetEndedAt())
	for i, seated := range session.GetParties() {
		equal("party_id", seated.GetPartyId(), k.table[i].id)
		equal("state", seated.GetState(), "completed")
		equal("device of the party", seated.GetDeviceInfo().GetPlatform(), "go")
	}
}

func (k *keygen) acknowledge(p *party, message *routerv1.MPCMessage) {
	request := p.acknowledgement(k.sessionID, message.GetMessageId())
	require(answer(p.router.AcknowledgeMessage(k.ctx, request)).GetSuccess(), "not acknowledged")
	again := answer(p.router.AcknowledgeMessage(k.ctx, request))
	equal("the message of the repeat", again.GetMessage(), "already acknowledged")
}

func (k *keygen) pending(p *party) []*routerv1.MPCMessage {
	request := &routerv1.GetPendingMessagesRequest{SessionId: k.sessionID, PartyId: p.id}
	return answer(p.router.GetPendingMessages(k.ctx, request)).GetMessages()
}

func (k *keygen) status(messageID string) *routerv1.GetMessageStatusResponse {
	request := &routerv1.GetMessageStatusRequest{SessionId: k.sessionID, MessageId: messageID}
	return answer(k.table[0].router.GetMessageStatus(k.ctx, request))
}
