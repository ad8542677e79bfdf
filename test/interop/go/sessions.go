package main

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	coordinatorv1 "mpc-router/interop/gen/mpc/coordinator/v1"
	routerv1 "mpc-router/interop/gen/mpc/router/v1"
)

// checkSigning lets two parties of a key sign, and disagree about the signature.
func checkSigning(ctx context.Context, coordinator *client, table parties, keygenID string) {
	signers := parties{table[2], table[0]}
	request := &coordinatorv1.CreateSessionRequest{
		SessionType: "sign", ThresholdN: 3, ThresholdT: 2, SelectedParties: signers.ids(),
		MessageHash: bytes.Repeat([]byte{9}, 32), KeygenSessionId: keygenID,
	}
	report := func(p *party, sessionID, signature string) (*routerv1.ReportCompletionResponse, error) {
		return p.router.ReportCompletion(ctx, &routerv1.ReportCompletionRequest{
			SessionId: sessionID, PartyId: p.id, Signature: []byte(signature),
		})
	}
	step("signers keep the indexes of their keygen session", func() {
		created := answer(coordinator.sessions.CreateSession(ctx, request))
		require(len(created.GetSession().GetPublicKey()) == 32, "the session does not show its key")
		sessionID := signers.start(ctx, created)
		equal("the index of the first signer", signers[0].index, 2)
		equal("the index of the second signer", signers[1].index, 0)
		answer(report(signers[0], sessionID, "signature"))
		equal("all_completed", answer(report(signers[1], sessionID, "signature")).GetAllCompleted(), true)
	})
	step("signers that disagree fail the session", func() {
		sessionID := signers.start(ctx, answer(coordinator.sessions.CreateSession(ctx, request)))
		answer(report(signers[0], sessionID, "one signature"))
		refused(codes.Aborted, "SIGNATURE_MISMATCH", errorOf(report(signers[1], sessionID, "another signature")))
		together(signers, func(p *party) { p.event(sessionID, "session_failed") })
		session := answer(coordinator.sessions.GetSession(ctx, &coordinatorv1.GetSessionRequest{SessionId: sessionID}))
		equal("status", session.GetSession().GetStatus(), "failed")
		equal("the length of the signature", len(session.GetSession().GetSignature()), 0)
	})
	step("a cancelled session has failed, for everybody", func() {
		created := answer(coordinator.sessions.CreateSession(ctx, request))
		cancel := &coordinatorv1.CancelSessionRequest{SessionId: created.GetSession().GetSessionId(), Reason: "enough"}
		for range 2 {
			equal("status", answer(coordinator.sessions.CancelSession(ctx, cancel)).GetStatus(), "failed")
		}
		together(signers, func(p *party) { p.event(cancel.GetSessionId(), "session_failed") })
		refused(codes.FailedPrecondition, "SESSION_COMPLETED", errorOf(
			coordinator.sessions.CancelSession(ctx, &coordinatorv1.CancelSessionRequest{SessionId: keygenID})))
	})
}

// checkEvents publishes events of an outside coordinator, and looks for the parties it would find.
func checkEvents(ctx context.Context, coordinator *client, table parties) {
	alice := table[0]
	step("a published event reaches the parties it selects, once", func() {
		event := &routerv1.SessionEvent{
			EventId: "go-" + unique(), EventType: "maintenance", SessionId: "go-" + unique(),
			SelectedParties: []string{alice.id},
		}
		request := &routerv1.PublishSessionEventRequest{Event: event}
		equal("subscriber_count", answer(coordinator.router.PublishSessionEvent(ctx, request)).GetSubscriberCount(), 1)
		answer(coordinator.router.PublishSessionEvent(ctx, request))
		got := alice.event(event.GetSessionId(), "maintenance")
		equal("event_id", got.GetEventId(), event.GetEventId())
		require(got.GetCreatedAt() > 0, "created_at is not filled in")
		refused(codes.InvalidArgument, "INVALID_FIELD", errorOf(
			coordinator.router.PublishSessionEvent(ctx, &routerv1.PublishSessionEventRequest{})))
		other := &routerv1.SessionEvent{
			EventId: event.GetEventId(), EventType: "something-else", SessionId: event.GetSessionId(),
			SelectedParties: []string{alice.id},
		}
		refused(codes.AlreadyExists, "EVENT_EXISTS", errorOf(
			coordinator.router.PublishSessionEvent(ctx, &routerv1.PublishSessionEventRequest{Event: other})))
	})
	step("a stream that names its last event gets what came after", func() {
		request := &coordinatorv1.CreateSessionRequest{
			SessionType: "keygen", ThresholdN: 3, ThresholdT: 2, SelectedParties: table.ids(),
		}
		created := answer(coordinator.sessions.CreateSession(ctx, request))
		sessionID := created.GetSession().GetSessionId()
		first := alice.event(sessionID, "session_created")
		cancel := &coordinatorv1.CancelSessionRequest{SessionId: sessionID}
		answer(coordinator.sessions.CancelSession(ctx, cancel))
		later := metadata.AppendToOutgoingContext(ctx, "last-event-id", first.GetEventId())
		subscription := &routerv1.SubscribeSessionEventsRequest{PartyId: alice.id}
		events := open(alice.router.SubscribeSessionEvents(later, subscription))
		equal("the next event", events.next().GetEventType(), "session_failed")
	})
	step("registered parties are found by role, with who is online", func() {
		find := &routerv1.GetRegisteredPartiesRequest{RoleFilter: "persistent", OnlyOnline: true}
		found := answer(coordinator.router.GetRegisteredParties(ctx, find))
		equal("total_count", int(found.GetTotalCount()), len(found.GetParties()))
		for _, p := range table {
			require(slices.ContainsFunc(found.GetParties(), func(one *routerv1.RegisteredParty) bool {
				return one.GetPartyId() == p.id && one.GetOnline() && one.GetRole() == p.role
			}), "%s is not found online", p.id)
		}
		refused(codes.InvalidArgument, "INVALID_FIELD", errorOf(
			coordinator.router.GetRegisteredParties(ctx, &routerv1.GetRegisteredPartiesRequest{RoleFilter: "boss"})))
	})
}

// checkDelegate takes a user's share from the delegate that made it to the backend that hands it on.
func checkDelegate(ctx context.Context, coordinator *client, table parties) {
	partner, delegate := table[0], table[1]
	publicKey := bytes.Repeat([]byte{3}, 32)
	var sessionID string
	submission := func() *routerv1.SubmitDelegateShareRequest {
		return &routerv1.SubmitDelegateShareRequest{
			SessionId: sessionID, PartyId: delegate.id, EncryptedShare: []byte("sealed share"),
			PublicKey: publicKey, PartyIndex: delegate.index,
		}
	}
	report := func(p *party) (*routerv1.ReportCompletionResponse, error) {
		request := &routerv1.ReportCompletionRequest{SessionId: sessionID, PartyId: p.id, PublicKey: publicKey}
		return p.router.ReportCompletion(ctx, request)
	}
	state := func() string {
		request := &coordinatorv1.GetSessionRequest{SessionId: sessionID}
		return answer(coordinator.sessions.GetSession(ctx, request)).GetSession().GetDelegateShareState()
	}
	step("a delegate submits the user's share before it reports", func() {
		created := answer(coordinator.sessions.CreateSession(ctx, &coordinatorv1.CreateSessionRequest{
			SessionType: "keygen", ThresholdN: 2, ThresholdT: 2, SelectedParties: table.ids(),
			UserPublicKey: bytes.Repeat([]byte{5}, 32),
		}))
		sessionID = created.GetSession().GetSessionId()
		require(strings.Contains(created.GetJoinTokens()[delegate.id], "."), "the token has no user's key")
		require(!strings.Contains(created.GetJoinTokens()[partner.id], "."), "the partner's token has a key")
		table.start(ctx, created)
		equal("delegate_share_state", state(), "awaited")
		refused(codes.FailedPrecondition, "DELEGATE_SHARE_MISSING", errorOf(report(delegate)))
		wrongParty := submission()
		wrongParty.PartyId, wrongParty.PartyIndex = partner.id, partner.index
		refused(codes.PermissionDenied, "NOT_THE_DELEGATE", errorOf(
			partner.router.SubmitDelegateShare(ctx, wrongParty)))
		wrongIndex := submission()
		wrongIndex.PartyIndex++
		refused(codes.InvalidArgument, "INVALID_FIELD", errorOf(
			delegate.router.SubmitDelegateShare(ctx, wrongIndex)))
		for range 2 {
			require(answer(delegate.router.SubmitDelegateShare(ctx, submission())).GetSuccess(), "not submitted")
		}
		otherShare := submission()
		otherShare.EncryptedShare = []byte("another share")
		refused(codes.AlreadyExists, "DELEGATE_SHARE_DIFFERS", errorOf(
			delegate.router.SubmitDelegateShare(ctx, otherShare)))
		equal("delegate_share_state", state(), "stored")
		answer(report(partner))
		equal("all_completed", answer(report(delegate)).GetAllCompleted(), true)
	})
	step("the backend takes the share once, and has it erased", func() {
		take := &coordinatorv1.TakeDelegateShareRequest{SessionId: sessionID, TakeId: "go-" + unique()}
		for range 2 {
			taken := answer(coordinator.sessions.TakeDelegateShare(ctx, take))
			equal("encrypted_share", string(taken.GetEncryptedShare()), "sealed share")
			equal("delegate_party_id", taken.GetDelegatePartyId(), delegate.id)
			equal("party_index", taken.GetPartyIndex(), delegate.index)
			require(bytes.Equal(taken.GetPublicKey(), publicKey), "another public_key: %v", taken)
		}
		other := &coordinatorv1.TakeDelegateShareRequest{SessionId: sessionID, TakeId: "go-" + unique()}
		_, err := coordinator.sessions.TakeDelegateShare(ctx, other)
		require(err != nil, "another take_id is given the share too")
		confirm := &coordinatorv1.ConfirmDelegateShareRequest{SessionId: sessionID, TakeId: take.GetTakeId()}
		for range 2 {
			require(answer(coordinator.sessions.ConfirmDelegateShare(ctx, confirm)).GetSuccess(), "not confirmed")
		}
		equal("delegate_share_state", state(), "erased")
	})
}
