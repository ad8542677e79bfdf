import { randomUUID } from "node:crypto";
import type { TestSession } from "../../support/sessions.ts";
import type { Clients } from "./clients.ts";

/** What the calls are about: a session of three that runs, and a message in it. */
export interface Subject {
  readonly session: TestSession;
  readonly messageId: string;
}

type Call = () => Promise<unknown>;

/** A valid call of every RPC of the contract and of the coordinator, by name. */
export function everyCall(clients: Clients, subject: Subject): Readonly<Record<string, Call>> {
  return { ...routerCalls(clients, subject), ...coordinatorCalls(clients, subject) };
}

function routerCalls(
  { router }: Clients,
  { session, messageId }: Subject,
): Readonly<Record<string, Call>> {
  const { sessionId, parties, tokens } = session;
  const [partyId = "", other = ""] = parties;
  const publicKey = new Uint8Array(33);
  const event = { eventType: "custom", sessionId, selectedParties: [partyId] };
  return {
    RegisterParty: () => router.registerParty({ partyId, partyRole: "persistent", version: "2" }),
    Heartbeat: () => router.heartbeat({ partyId }),
    GetRegisteredParties: () => router.getRegisteredParties({}),
    RouteMessage: () => router.routeMessage({ sessionId, fromParty: partyId }),
    SubscribeMessages: () => first(router.subscribeMessages({ sessionId, partyId: other })),
    GetPendingMessages: () => router.getPendingMessages({ sessionId, partyId: other }),
    AcknowledgeMessage: () =>
      router.acknowledgeMessage({ sessionId, partyId: other, messageId, success: true }),
    GetMessageStatus: () => router.getMessageStatus({ sessionId, messageId }),
    SubscribeSessionEvents: () => first(router.subscribeSessionEvents({ partyId })),
    PublishSessionEvent: () =>
      router.publishSessionEvent({ event: { ...event, eventId: randomUUID() } }),
    JoinSession: () => router.joinSession({ sessionId, partyId, joinToken: tokens[partyId] ?? "" }),
    MarkPartyReady: () => router.markPartyReady({ sessionId, partyId }),
    ReportCompletion: () => router.reportCompletion({ sessionId, partyId, publicKey }),
    GetSessionStatus: () => router.getSessionStatus({ sessionId }),
    SubmitDelegateShare: () =>
      router.submitDelegateShare({
        sessionId,
        partyId: parties.at(-1) ?? "",
        partyIndex: parties.length - 1,
        encryptedShare: new Uint8Array(8),
        publicKey,
      }),
  };
}

function coordinatorCalls(
  { coordinator }: Clients,
  { session }: Subject,
): Readonly<Record<string, Call>> {
  const { sessionId, parties } = session;
  const takeId = randomUUID();
  return {
    CreateSession: () =>
      coordinator.createSession({
        sessionType: "keygen",
        thresholdN: parties.length,
        thresholdT: 2,
        selectedParties: [...parties],
      }),
    GetSession: () => coordinator.getSession({ sessionId }),
    ListSessions: () => coordinator.listSessions({}),
    CancelSession: () => coordinator.cancelSession({ sessionId: `${sessionId}-none` }),
    WatchSession: () => first(coordinator.watchSession({ sessionId })),
    TakeDelegateShare: () => coordinator.takeDelegateShare({ sessionId, takeId }),
    ConfirmDelegateShare: () => coordinator.confirmDelegateShare({ sessionId, takeId }),
  };
}

/** The stream's first item, or what ended it. */
async function first<T>(stream: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of stream) return item;
  return undefined;
}
