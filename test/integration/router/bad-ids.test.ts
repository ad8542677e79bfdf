import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { fleetKinds, startFleet, type Fleet } from "../../support/fleet.ts";
import { openSession, type TestSession } from "../../support/sessions.ts";
import { storedTotals } from "../../support/store.ts";

const badIds = ["", "a.b", "*", ">", "a b", "é", "a/b", "$SYS", "a\u0000", "x".repeat(129)];

/** A call with one of its id fields replaced; streams are read to their end. */
type BadCall = (badId: string) => Promise<unknown>;

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const item of stream) assert.fail(`gave ${JSON.stringify(item)}`);
}

/** Every id field of every RPC. An empty optional id is no bad one, which `required` tells. */
function badCalls(
  { router, coordinator, operations }: Fleet,
  { sessionId, parties }: TestSession,
): Readonly<Record<string, { readonly required: boolean; readonly call: BadCall }>> {
  const [partyId = ""] = parties;
  const messageId = "m";
  const required = (call: BadCall) => ({ required: true, call });
  const optional = (call: BadCall) => ({ required: false, call });
  const event =
    (change: object): BadCall =>
    (id) =>
      router.publishSessionEvent({
        event: { eventId: "e", eventType: "note", sessionId, ...replaced(change, id) },
      });
  const create =
    (change: object): BadCall =>
    (id) =>
      coordinator.createSession({
        sessionType: "keygen",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: parties.slice(0, 2),
        ...replaced(change, id),
      });
  return {
    "RouteMessage.session_id": required((id) =>
      router.routeMessage({ sessionId: id, fromParty: partyId }),
    ),
    "RouteMessage.from_party": required((id) => router.routeMessage({ sessionId, fromParty: id })),
    "RouteMessage.to_parties": required((id) =>
      router.routeMessage({ sessionId, fromParty: partyId, toParties: [id] }),
    ),
    "SubscribeMessages.session_id": required((id) =>
      drain(router.subscribeMessages({ sessionId: id, partyId })),
    ),
    "SubscribeMessages.party_id": required((id) =>
      drain(router.subscribeMessages({ sessionId, partyId: id })),
    ),
    "GetPendingMessages.session_id": required((id) =>
      router.getPendingMessages({ sessionId: id, partyId }),
    ),
    "GetPendingMessages.party_id": required((id) =>
      router.getPendingMessages({ sessionId, partyId: id }),
    ),
    "AcknowledgeMessage.message_id": required((id) =>
      router.acknowledgeMessage({ messageId: id, partyId, sessionId, success: true }),
    ),
    "AcknowledgeMessage.party_id": required((id) =>
      router.acknowledgeMessage({ messageId, partyId: id, sessionId, success: true }),
    ),
    "AcknowledgeMessage.session_id": required((id) =>
      router.acknowledgeMessage({ messageId, partyId, sessionId: id, success: true }),
    ),
    "GetMessageStatus.message_id": required((id) =>
      router.getMessageStatus({ messageId: id, sessionId }),
    ),
    "GetMessageStatus.session_id": required((id) =>
      router.getMessageStatus({ messageId, sessionId: id }),
    ),
    "RegisterParty.party_id": required((id) =>
      router.registerParty({ partyId: id, partyRole: "temporary" }),
    ),
    "Heartbeat.party_id": required((id) => router.heartbeat({ partyId: id })),
    "SubscribeSessionEvents.party_id": required((id) =>
      drain(router.subscribeSessionEvents({ partyId: id })),
    ),
    "SubscribeSessionEvents.event_types": required((id) =>
      drain(router.subscribeSessionEvents({ partyId, eventTypes: [id] })),
    ),
    "PublishSessionEvent.event_id": optional(event({ eventId: "ID" })),
    "PublishSessionEvent.event_type": required(event({ eventType: "ID" })),
    "PublishSessionEvent.session_id": required(event({ sessionId: "ID" })),
    "PublishSessionEvent.selected_parties": required(event({ selectedParties: ["ID"] })),
    "JoinSession.session_id": required((id) => router.joinSession({ sessionId: id, partyId })),
    "JoinSession.party_id": required((id) => router.joinSession({ sessionId, partyId: id })),
    "MarkPartyReady.session_id": required((id) =>
      router.markPartyReady({ sessionId: id, partyId }),
    ),
    "MarkPartyReady.party_id": required((id) => router.markPartyReady({ sessionId, partyId: id })),
    "ReportCompletion.session_id": required((id) =>
      router.reportCompletion({ sessionId: id, partyId }),
    ),
    "ReportCompletion.party_id": required((id) =>
      router.reportCompletion({ sessionId, partyId: id }),
    ),
    "GetSessionStatus.session_id": required((id) => router.getSessionStatus({ sessionId: id })),
    "SubmitDelegateShare.session_id": required((id) =>
      router.submitDelegateShare({ sessionId: id, partyId }),
    ),
    "SubmitDelegateShare.party_id": required((id) =>
      router.submitDelegateShare({ sessionId, partyId: id }),
    ),
    "CreateSession.request_id": optional(create({ requestId: "ID" })),
    "CreateSession.selected_parties": required(create({ selectedParties: [partyId, "ID"] })),
    "CreateSession.keygen_session_id": optional(
      create({
        sessionType: "sign",
        messageHash: new Uint8Array(32),
        keygenSessionId: "ID",
      }),
    ),
    "PublishSessionEvent.delegate_party_id": required((id) =>
      router.publishSessionEvent({
        event: {
          eventId: "e",
          eventType: "session_created",
          sessionId: "made-outside",
          thresholdN: 2,
          thresholdT: 2,
          selectedParties: parties.slice(0, 2),
          joinTokens: Object.fromEntries(parties.slice(0, 2).map((party) => [party, "token"])),
          messageHash: new Uint8Array(32),
          delegateUserShare: share(id),
        },
      }),
    ),
    "CreateSession.delegate_party_id": required((id) =>
      coordinator.createSession({
        sessionType: "sign",
        thresholdN: 2,
        thresholdT: 2,
        selectedParties: parties.slice(0, 2),
        messageHash: new Uint8Array(32),
        delegateUserShare: share(id),
      }),
    ),
    "GetSession.session_id": required((id) => coordinator.getSession({ sessionId: id })),
    "ListSessions.party_filter": optional((id) => coordinator.listSessions({ partyFilter: id })),
    "CancelSession.session_id": required((id) => coordinator.cancelSession({ sessionId: id })),
    "WatchSession.session_id": required((id) => drain(coordinator.watchSession({ sessionId: id }))),
    "TakeDelegateShare.session_id": required((id) =>
      coordinator.takeDelegateShare({ sessionId: id, takeId: "t" }),
    ),
    "TakeDelegateShare.take_id": required((id) =>
      coordinator.takeDelegateShare({ sessionId, takeId: id }),
    ),
    "ConfirmDelegateShare.session_id": required((id) =>
      coordinator.confirmDelegateShare({ sessionId: id, takeId: "t" }),
    ),
    "ConfirmDelegateShare.take_id": required((id) =>
      coordinator.confirmDelegateShare({ sessionId, takeId: id }),
    ),
    "SessionOperations.JoinSession.session_id": required((id) =>
      operations.joinSession({ sessionId: id, partyId }),
    ),
    "SessionOperations.JoinSession.party_id": required((id) =>
      operations.joinSession({ sessionId, partyId: id }),
    ),
    "SessionOperations.MarkPartyReady.session_id": required((id) =>
      operations.markPartyReady({ sessionId: id, partyId }),
    ),
    "SessionOperations.ReportCompletion.party_id": required((id) =>
      operations.reportCompletion({ sessionId, partyId: id }),
    ),
    "SessionOperations.SubmitDelegateShare.session_id": required((id) =>
      operations.submitDelegateShare({ sessionId: id, partyId }),
    ),
    "SessionOperations.MarkPartyReady.party_id": required((id) =>
      operations.markPartyReady({ sessionId, partyId: id }),
    ),
    "SessionOperations.ReportCompletion.session_id": required((id) =>
      operations.reportCompletion({ sessionId: id, partyId }),
    ),
    "SessionOperations.GetSessionStatus.session_id": required((id) =>
      operations.getSessionStatus({ sessionId: id }),
    ),
    "SessionOperations.SubmitDelegateShare.party_id": required((id) =>
      operations.submitDelegateShare({ sessionId, partyId: id }),
    ),
  };
}

function share(delegatePartyId: string): {
  readonly delegatePartyId: string;
  readonly encryptedShare: Uint8Array<ArrayBuffer>;
  readonly partyIndex: number;
} {
  return { delegatePartyId, encryptedShare: new Uint8Array([1]), partyIndex: 0 };
}

/** Puts the id where the text "ID" stands, in a field or in a list. */
function replaced(change: object, id: string): object {
  return Object.fromEntries(
    Object.entries(change).map(([key, value]: [string, unknown]) => {
      if (value === "ID") return [key, id];
      if (!Array.isArray(value)) return [key, value];
      return [key, value.map((item: unknown) => (item === "ID" ? id : item))];
    }),
  );
}

for (const kind of fleetKinds) {
  describe(`bad ids by ${kind}`, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await startFleet(kind);
    });
    after(() => fleet[Symbol.asyncDispose]());

    it("are refused in every id field of every RPC, and nothing is stored", async () => {
      const session = await openSession(fleet);
      const totals = await storedTotals(fleet.nats.url);
      for (const [field, { required, call }] of Object.entries(badCalls(fleet, session))) {
        for (const badId of badIds) {
          if (badId === "" && !required) continue;
          const error = await call(badId).then(
            () => assert.fail(`${field} took ${JSON.stringify(badId)}`),
            (thrown: unknown) => ConnectError.from(thrown),
          );
          const where = `${field} with ${JSON.stringify(badId)}: ${error.message}`;
          assert.equal(Code[error.code], "InvalidArgument", where);
          assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "INVALID_ID", where);
          assert.match(error.rawMessage, new RegExp(`\\b${field.split(".").at(-1)}\\b`), where);
        }
      }
      assert.deepEqual(await storedTotals(fleet.nats.url), totals);
    });
  });
}
