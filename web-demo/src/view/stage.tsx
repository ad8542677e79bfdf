import type { JSX } from "preact";
import type { MessageState, PartyState, State } from "../model/state.ts";
import { rounds, type Round } from "../parties/rounds.ts";
import { Chip } from "./chip.tsx";
import { PartyCard, type PartyControls } from "./party-card.tsx";

/** A message as one recipient gets it. */
export interface Selection {
  readonly messageId: string;
  readonly to: string;
}

/** The parties, and below them the router with what it holds for each: columns are recipients, rows are rounds. */
export function Stage(props: {
  readonly state: State;
  readonly controls: PartyControls;
  readonly onSelect: (selection: Selection) => void;
}): JSX.Element {
  const { state, controls, onSelect } = props;
  const messages = messagesOnStage(state);
  return (
    <section class={`stage has-${state.parties.length}`} aria-label="Parties and router">
      <Legend />
      <div class="parties">
        {state.parties.map((party) => (
          <PartyCard
            key={party.id}
            party={party}
            shares={state.parties.length}
            controls={controls}
          />
        ))}
      </div>
      <div class="router">
        <p class="router-title">
          <span>
            <strong>Router</strong> holds each message until its recipient has acknowledged it.
          </span>
          <span>Select a message: what the router sees, beside what its recipient reads.</span>
        </p>
        {rounds.map((round) => (
          <RoundRow
            key={round.id}
            round={round}
            state={state}
            messages={messages.filter((message) => message.roundId === round.id)}
            onSelect={onSelect}
          />
        ))}
      </div>
    </section>
  );
}

function Legend(): JSX.Element {
  return (
    <div class="legend">
      <p>
        <span class="chip is-broadcast is-delivered" aria-hidden="true">
          <span class="chip-shape" />
        </span>
        to everybody
      </p>
      <p>
        <span class="chip is-direct is-delivered" aria-hidden="true">
          <span class="chip-shape" />
        </span>
        to one party
      </p>
      <p class="state is-pending">pending</p>
      <p class="state is-delivered">delivered</p>
      <p class="state is-acknowledged">acknowledged</p>
    </div>
  );
}

function RoundRow(props: {
  readonly round: Round;
  readonly state: State;
  readonly messages: readonly MessageState[];
  readonly onSelect: (selection: Selection) => void;
}): JSX.Element {
  const { round, state, messages, onSelect } = props;
  const { done, total } = progressOf(round, state, messages);
  const status = done === 0 && messages.length === 0 ? "idle" : done === total ? "done" : "live";
  return (
    <section class={`round is-${status}`} aria-labelledby={round.id}>
      <header title={status === "idle" ? undefined : round.purpose}>
        <p class="round-place">
          {round.session === "keygen" ? "Key" : "Signature"} · round {round.number}
        </p>
        <h2 id={round.id}>{round.title}</h2>
        {status !== "idle" && <p class="round-count">{countText({ done, total, messages })}</p>}
      </header>
      {status === "idle" && <p class="round-purpose">{round.purpose}</p>}
      {status !== "idle" &&
        state.parties.map((party) => (
          <Mailbox
            key={party.id}
            party={party}
            state={state}
            messages={messages}
            onSelect={onSelect}
          />
        ))}
    </section>
  );
}

function Mailbox(props: {
  readonly party: PartyState;
  readonly state: State;
  readonly messages: readonly MessageState[];
  readonly onSelect: (selection: Selection) => void;
}): JSX.Element {
  const { party, state, messages, onSelect } = props;
  const mail = messages.flatMap((message) => {
    const delivery = message.deliveries.find(({ to }) => to === party.id);
    return delivery === undefined ? [] : [{ message, delivery }];
  });
  return (
    <ul class="mailbox" data-name={party.name} aria-label={`To ${party.name}`}>
      {mail.map(({ message, delivery }) => (
        <li key={message.id}>
          <Chip
            state={state}
            message={message}
            delivery={delivery}
            onOpen={() => onSelect({ messageId: message.id, to: party.id })}
          />
        </li>
      ))}
    </ul>
  );
}

/** Those of the newest key and the newest signature. */
export function messagesOnStage(state: State): readonly MessageState[] {
  const { keygenSessionId, signSessionId } = state.run;
  return state.messages.filter(
    ({ sessionId }) => sessionId === keygenSessionId || sessionId === signSessionId,
  );
}

/** Deliveries of a round that are acknowledged, of all that there will be. */
function progressOf(
  round: Round,
  state: State,
  messages: readonly MessageState[],
): { readonly done: number; readonly total: number } {
  const { signers, publicKey, signature } = state.run;
  const members = round.session === "keygen" ? state.parties.length : signers.length;
  const deliveries = messages.flatMap((message) => message.deliveries);
  const done = deliveries.filter(({ status }) => status === "acknowledged").length;
  // Messages between parties that both run elsewhere are not seen here.
  const isOver = (round.session === "keygen" ? publicKey : signature) !== undefined;
  return { done, total: isOver ? deliveries.length : members * (members - 1) };
}

function countText(round: {
  readonly done: number;
  readonly total: number;
  readonly messages: readonly MessageState[];
}): string {
  const { done, total, messages } = round;
  if (done < total) return `${done} of ${total} acknowledged`;
  const startedAt = Math.min(...messages.map(({ seenAt }) => seenAt));
  const ends = messages.flatMap(({ deliveries }) => deliveries.map((one) => one.acknowledgedAt));
  const tookMs = Math.max(0, Math.max(...ends) - startedAt);
  return `${total} acknowledged, ${(tookMs / 1_000).toFixed(1)} s`;
}
