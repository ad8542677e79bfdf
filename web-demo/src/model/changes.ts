import type { Change } from "./store.ts";
import type { DeliveryState, MessageState, PartyState, RunState, State, Tone } from "./state.ts";

/** Older entries are forgotten. */
const mostEntries = 200;

/** Messages of sessions before the last few are forgotten. */
const mostMessages = 400;

export function withParty(id: string, change: Partial<PartyState>): Change {
  return (state) => ({
    ...state,
    parties: state.parties.map((party) => (party.id === id ? { ...party, ...change } : party)),
  });
}

export function withRun(change: Partial<RunState>): Change {
  return (state) => ({ ...state, run: { ...state.run, ...change } });
}

export function withLog(text: string, tone: Tone = "plain"): Change {
  return (state) => {
    const id = (state.log.at(-1)?.id ?? 0) + 1;
    const log = [...state.log, { id, at: Date.now(), tone, text }];
    return { ...state, log: log.slice(-mostEntries) };
  };
}

/** Adds a message that is new. */
export function withMessage(message: MessageState): Change {
  return (state) => {
    if (state.messages.some(({ id }) => id === message.id)) return state;
    return { ...state, messages: [...state.messages, message].slice(-mostMessages) };
  };
}

/** Changes what is known of one delivery, and adds the delivery where it is new. */
export function withDelivery(
  messageId: string,
  to: string,
  change: Partial<DeliveryState>,
): Change {
  return (state) => ({
    ...state,
    messages: state.messages.map((message) =>
      message.id === messageId ? { ...message, deliveries: changed(message, to, change) } : message,
    ),
  });
}

export function all(...changes: readonly Change[]): Change {
  return (state) => changes.reduce((before, change) => change(before), state);
}

export function newParty(id: string, name: string): PartyState {
  return {
    id,
    name,
    place: "here",
    link: "starting",
    isOffline: false,
    isSeen: false,
    activity: "Starting",
    hasShare: false,
    losesAcknowledgement: false,
    tampers: false,
  };
}

export function newDelivery(to: string): DeliveryState {
  return { to, status: "pending", retries: 0, deliveredAt: 0, acknowledgedAt: 0 };
}

export function nameOf(state: State, partyId: string): string {
  return state.parties.find((party) => party.id === partyId)?.name ?? partyId;
}

export function namesOf(state: State, partyIds: readonly string[]): string {
  return listed(partyIds.map((id) => nameOf(state, id)));
}

/** "Alice", "Alice and Bob", "Alice, Bob and Carol". */
function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}

function changed(
  message: MessageState,
  to: string,
  change: Partial<DeliveryState>,
): readonly DeliveryState[] {
  const isKnown = message.deliveries.some((delivery) => delivery.to === to);
  const deliveries = isKnown ? message.deliveries : [...message.deliveries, newDelivery(to)];
  return deliveries.map((one) => (one.to === to ? { ...one, ...change } : one));
}
