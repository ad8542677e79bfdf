import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { nameOf } from "../model/changes.ts";
import type { DeliveryState, MessageState, State } from "../model/state.ts";
import { roundOf } from "../parties/rounds.ts";

const flightMs = 440;

/** Messages that are older were on the page before, and do not fly in again. */
const freshMs = 1_500;

/** A message in its recipient's mailbox: its shape says how it was addressed, its look how far it has come. */
export function Chip(props: {
  readonly state: State;
  readonly message: MessageState;
  readonly delivery: DeliveryState;
  readonly onOpen: () => void;
}): JSX.Element {
  const { state, message, delivery, onOpen } = props;
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (button.current !== null && Date.now() - message.seenAt < freshMs) {
      flyIn(button.current, message.from);
    }
  }, []);
  const { status, retries, refusal } = delivery;
  const look = refusal === undefined ? status : "refused";
  return (
    <button
      ref={button}
      type="button"
      class={`chip ${message.isBroadcast ? "is-broadcast" : "is-direct"} is-${look}`}
      aria-label={labelOf(state, message, delivery)}
      onClick={onOpen}
    >
      <span class="chip-shape" aria-hidden="true">
        <span>{nameOf(state, message.from).charAt(0)}</span>
      </span>
      {look === "acknowledged" && <Mark path="M2.5 5.2l1.8 1.8 3.2-3.8" kind="good" />}
      {look === "refused" && <Mark path="M3 3l4 4M7 3l-4 4" kind="bad" />}
      {retries > 0 && <span class="retries" data-count={`${retries + 1}×`} aria-hidden="true" />}
    </button>
  );
}

function Mark({ path, kind }: { readonly path: string; readonly kind: string }): JSX.Element {
  return (
    <svg class={`mark is-${kind}`} viewBox="0 0 10 10" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

function labelOf(state: State, message: MessageState, delivery: DeliveryState): string {
  const { from, isBroadcast, roundId } = message;
  const kind = isBroadcast ? "broadcast" : "to one party";
  const again = delivery.retries > 0 ? `, delivered ${delivery.retries + 1} times` : "";
  const status = delivery.refusal === undefined ? delivery.status : "refused";
  const names = `${nameOf(state, from)} to ${nameOf(state, delivery.to)}`;
  return `${names}, ${roundOf(roundId).title}, ${kind}: ${status}${again}`;
}

/** Lets the chip come from its sender's panel, through the router's top edge, into its place. */
function flyIn(chip: HTMLElement, senderId: string): void {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const sender = document.querySelector(`[data-party="${CSS.escape(senderId)}"] .monogram`);
  const router = chip.closest(".router");
  if (sender === null || router === null) return;
  const place = chip.getBoundingClientRect();
  const from = sender.getBoundingClientRect();
  const x = from.left + from.width / 2 - place.left - place.width / 2;
  const y = from.top + from.height / 2 - place.top - place.height / 2;
  const edge = router.getBoundingClientRect().top - place.top - place.height / 2;
  chip.animate(
    [
      { transform: `translate(${x}px, ${y}px) scale(0.6)`, opacity: 0 },
      { transform: `translate(${x}px, ${y}px) scale(1.15)`, opacity: 1, offset: 0.15 },
      { transform: `translate(${x}px, ${edge}px) scale(1.15)`, offset: 0.5 },
      { transform: "none" },
    ],
    { duration: flightMs, easing: "cubic-bezier(0.4, 0, 0.2, 1)", fill: "backwards" },
  );
}
