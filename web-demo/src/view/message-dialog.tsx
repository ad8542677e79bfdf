import type { JSX } from "preact";
import { nameOf } from "../model/changes.ts";
import type { DeliveryState, MessageState, State } from "../model/state.ts";
import { roundOf } from "../parties/rounds.ts";
import { Dialog } from "./dialog.tsx";
import { HexDump } from "./hex-dump.tsx";
import type { Selection } from "./stage.tsx";

/** One message: what the router sees of it, beside what its recipient reads. */
export function MessageDialog(props: {
  readonly state: State;
  readonly selection: Selection;
  readonly onClose: () => void;
}): JSX.Element | null {
  const { state, selection, onClose } = props;
  const message = state.messages.find(({ id }) => id === selection.messageId);
  const delivery = message?.deliveries.find(({ to }) => to === selection.to);
  if (message === undefined || delivery === undefined) return null;
  const [from, to] = [nameOf(state, message.from), nameOf(state, delivery.to)];
  const kind = message.isBroadcast ? `${from} to everybody, as ${to} gets it` : `${from} to ${to}`;
  return (
    <Dialog title={`${roundOf(message.roundId).title}: ${kind}`} onClose={onClose}>
      <p class="purpose">{roundOf(message.roundId).purpose}</p>
      <div class="sides">
        <RouterSide state={state} message={message} />
        <RecipientSide name={to} message={message} delivery={delivery} />
      </div>
      <DeliveryTable state={state} message={message} />
    </Dialog>
  );
}

function RouterSide(props: { readonly state: State; readonly message: MessageState }): JSX.Element {
  const { state, message } = props;
  const names = message.deliveries.map(({ to }) => nameOf(state, to)).join(", ");
  const to = message.isBroadcast ? `everybody else (${names})` : names;
  return (
    <section class="side">
      <h3>What the router sees</h3>
      <dl>
        <Fact label="From" value={nameOf(state, message.from)} />
        <Fact label="To" value={to} />
        <Fact label="Round" value={String(message.round)} />
        <Fact label="Type" value={message.type} isCode />
        <Fact label="Message" value={message.id} isCode />
        <Fact label="Session" value={message.sessionId} isCode />
        <Fact label="Payload" value={`${message.payload.length} bytes, sealed`} />
      </dl>
      <HexDump bytes={message.payload} label="Payload as the router has it" />
    </section>
  );
}

function RecipientSide(props: {
  readonly name: string;
  readonly message: MessageState;
  readonly delivery: DeliveryState;
}): JSX.Element {
  const { name, message, delivery } = props;
  const { opened, refusal, changedPayload, status } = delivery;
  if (refusal !== undefined) {
    return (
      <section class="side">
        <h3>What {name} gets</h3>
        <p class="refusal">
          <strong>Refused.</strong> {refusal}
        </p>
        {changedPayload !== undefined && (
          <p class="empty">One bit is another than in what the router holds.</p>
        )}
        {changedPayload !== undefined && (
          <HexDump
            bytes={changedPayload}
            original={message.payload}
            label="Payload as it came in, changed"
          />
        )}
      </section>
    );
  }
  return (
    <section class="side">
      <h3>What {name} reads</h3>
      {opened === undefined && (
        <p class="empty">
          {status === "pending"
            ? `Nothing yet: it waits at the router.`
            : `Only ${name} can read it.`}
        </p>
      )}
      <dl class="fields">
        {opened?.map((field) => (
          <div key={field.label}>
            <dt>
              {field.label}
              {field.isSecret === true && <span class="secret">secret</span>}
            </dt>
            <dd>
              <code>{field.hex}</code>
            </dd>
          </div>
        ))}
      </dl>
      {opened?.some((field) => field.isSecret === true) === true && (
        <p class="empty">A real wallet would never show this. Here there are no funds.</p>
      )}
    </section>
  );
}

function Fact(props: {
  readonly label: string;
  readonly value: string;
  readonly isCode?: boolean;
}): JSX.Element {
  const { label, value, isCode = false } = props;
  return (
    <div>
      <dt>{label}</dt>
      <dd>{isCode ? <code>{value}</code> : value}</dd>
    </div>
  );
}

function DeliveryTable(props: {
  readonly state: State;
  readonly message: MessageState;
}): JSX.Element {
  const { state, message } = props;
  return (
    <table class="deliveries">
      <caption>Delivery, as GetMessageStatus tells it</caption>
      <thead>
        <tr>
          <th scope="col">To</th>
          <th scope="col">Status</th>
          <th scope="col">Delivered</th>
          <th scope="col">Acknowledged</th>
          <th scope="col">Retries</th>
        </tr>
      </thead>
      <tbody>
        {message.deliveries.map((delivery) => (
          <tr key={delivery.to}>
            <th scope="row">{nameOf(state, delivery.to)}</th>
            <td>
              <span class={`state is-${delivery.status}`}>{delivery.status}</span>
            </td>
            <td>{clock(delivery.deliveredAt)}</td>
            <td>{clock(delivery.acknowledgedAt)}</td>
            <td>{delivery.retries}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const time = new Intl.DateTimeFormat(undefined, {
  hourCycle: "h23",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

function clock(at: number): string {
  return at === 0 ? "–" : time.format(at);
}
