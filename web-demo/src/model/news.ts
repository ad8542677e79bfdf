import type { News, RoutedMessage } from "../parties/party-messages.ts";
import { roundOf, roundOfType } from "../parties/rounds.ts";
import {
  all,
  nameOf,
  namesOf,
  newDelivery,
  withDelivery,
  withLog,
  withMessage,
  withParty,
} from "./changes.ts";
import type { MessageState, State } from "./state.ts";
import type { Change } from "./store.ts";

const unchanged: Change = (state) => state;

/** What the page shows of a party's news. */
type Telling<K extends News["kind"]> = (context: {
  readonly state: State;
  readonly partyId: string;
  readonly name: string;
  readonly news: Extract<News, { kind: K }>;
}) => Change;

const tellings: { readonly [K in News["kind"]]: Telling<K> } = {
  up: ({ partyId }) =>
    withParty(partyId, { link: "connecting", activity: "Registers with the router" }),
  exported: () => unchanged,
  "wants-token": () => unchanged,
  link: ({ state, partyId, news }) => linked(state, partyId, news.state),
  invited: ({ partyId, news }) =>
    all(withParty(partyId, { activity: `Is invited to ${workOf(news.session)}` }), (before) => ({
      ...before,
      rosters: new Map([...before.rosters, [news.sessionId, news.parties]]),
    })),
  asked: ({ partyId }) => withParty(partyId, { activity: "Checks what it is asked to sign" }),
  joined: ({ partyId, news }) =>
    withParty(partyId, {
      partyIndex: news.partyIndex,
      activity: "Has joined; waits for the others",
    }),
  started: ({ partyId }) => withParty(partyId, { activity: "The session has started" }),
  waiting: ({ state, partyId, news }) => withParty(partyId, { activity: waitingText(state, news) }),
  wants: ({ partyId, news }) =>
    all(withParty(partyId, { activity: `Sends ${roundOf(news.roundId).item}` }), (before) => ({
      ...before,
      wants: [...before.wants, { partyId, ...news }],
    })),
  sent: ({ state, news }) => withMessage(messageOf(state, news.message)),
  arrived: ({ state, partyId, news }) => arrived(state, partyId, news),
  changed: ({ partyId, name, news }) =>
    all(
      withParty(partyId, { tampers: false }),
      withDelivery(news.messageId, partyId, { changedPayload: news.payload }),
      withLog(`A bit of a message to ${name} was changed on its way.`, "warn"),
    ),
  opened: ({ partyId, news }) => withDelivery(news.messageId, partyId, { opened: news.fields }),
  refused: ({ partyId, name, news }) =>
    all(
      withDelivery(news.messageId, partyId, { refusal: news.reason }),
      withLog(`${name} noticed: the seal is broken. It refused the message.`, "bad"),
    ),
  "acknowledgement-lost": ({ partyId, name }) =>
    all(
      withParty(partyId, { losesAcknowledgement: false }),
      withLog(
        `An acknowledgement of ${name} got lost. The router still holds the message.`,
        "warn",
      ),
    ),
  finished: ({ partyId, news }) =>
    news.session === "keygen"
      ? withParty(partyId, { hasShare: true, activity: "Holds its share" })
      : withParty(partyId, { activity: "Has signed" }),
  stopped: ({ partyId }) => withParty(partyId, { activity: "Waits for a session" }),
  failed: ({ partyId, name, news }) =>
    all(
      withParty(partyId, { activity: "Has failed" }),
      withLog(`${name} failed: ${news.text}`, "bad"),
    ),
};

/** What a party's news change in what the page shows. */
export function changeOf(partyId: string, news: News): Change {
  return (state) => {
    const tell = tellings[news.kind] as Telling<News["kind"]>;
    return tell({ state, partyId, name: nameOf(state, partyId), news })(state);
  };
}

function linked(
  state: State,
  partyId: string,
  link: "connecting" | "connected" | "reconnecting",
): Change {
  const before = state.parties.find((party) => party.id === partyId);
  if (before === undefined || before.link === link) return unchanged;
  const isFirst = before.link === "connecting" && link === "connected";
  const change = isFirst ? { link, activity: "Registered; waits for a session" } : { link };
  const isBack = before.link === "reconnecting" && link === "connected" && !before.isOffline;
  return isBack
    ? all(withParty(partyId, change), withLog(`${before.name} is connected again.`, "good"))
    : withParty(partyId, change);
}

function arrived(state: State, partyId: string, news: Extract<News, { kind: "arrived" }>): Change {
  const { message, isRepeat } = news;
  const { isBroadcast } = message;
  const seen = withMessage(messageOf(state, { ...message, to: isBroadcast ? [] : [partyId] }));
  if (!isRepeat) return seen;
  const names = `${nameOf(state, message.from)}'s message to ${nameOf(state, partyId)}`;
  return all(
    seen,
    withLog(`The router delivered ${names} again. It was known, and is acknowledged.`, "good"),
  );
}

function messageOf(state: State, message: RoutedMessage): MessageState {
  const { messageId, sessionId, from, round, type, payload, isBroadcast } = message;
  const members = (state.rosters.get(sessionId) ?? []).filter((id) => id !== from);
  const recipients = isBroadcast ? members : message.to;
  return {
    id: messageId,
    sessionId,
    roundId: roundOfType(type)?.id ?? "keygen-1",
    from,
    isBroadcast,
    round,
    type,
    payload,
    seenAt: Date.now(),
    deliveries: recipients.map((to) => newDelivery(to)),
  };
}

function waitingText(state: State, news: Extract<News, { kind: "waiting" }>): string {
  if (news.missing.length === 0) return "Computes";
  return `Waits for ${namesOf(state, news.missing)}`;
}

function workOf(session: "keygen" | "sign"): string {
  return session === "keygen" ? "make a key" : "sign";
}
