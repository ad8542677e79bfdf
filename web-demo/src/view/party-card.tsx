import type { JSX } from "preact";
import type { PartyState } from "../model/state.ts";

export interface PartyControls {
  setOffline(partyId: string, isOffline: boolean): void;
  loseAcknowledgement(partyId: string, isArmed: boolean): void;
  tamper(partyId: string, isArmed: boolean): void;
  /** Not where a party cannot move. */
  move?: ((partyId: string) => void) | undefined;
  /** Not now. */
  readonly isMoveOff?: boolean;
}

/** A party's panel: who it is, what it does, and the trouble that can be made for it. */
export function PartyCard(props: {
  readonly party: PartyState;
  readonly shares: number;
  readonly controls: PartyControls;
}): JSX.Element {
  const { party, shares, controls } = props;
  const presence = presenceOf(party);
  return (
    <article
      class={`party is-${presence.key}`}
      data-party={party.id}
      aria-label={`${party.name}, ${presence.text}`}
    >
      <header>
        <span class="monogram" aria-hidden="true">
          {party.name.charAt(0)}
        </span>
        <div>
          <h2>{party.name}</h2>
          <p class="presence">
            <span class="dot" aria-hidden="true" />
            {presence.text}
          </p>
        </div>
        {party.hasShare && (
          <span class="share" title="Holds a share of the key">
            <KeyIcon />
            <span>
              {party.partyIndex === undefined ? "share" : `${party.partyIndex + 1} of ${shares}`}
            </span>
          </span>
        )}
      </header>
      <p class="activity">{party.activity}</p>
      {party.place === "here" && <Trouble party={party} controls={controls} />}
    </article>
  );
}

function Trouble(props: {
  readonly party: PartyState;
  readonly controls: PartyControls;
}): JSX.Element {
  const { party, controls } = props;
  const { id, name, isOffline, losesAcknowledgement, tampers } = party;
  return (
    <div class="trouble" role="group" aria-label={`What happens to ${name}`}>
      <button
        type="button"
        class="quiet"
        aria-pressed={isOffline}
        title={isOffline ? "Its line works again" : "Cut its line: mail waits at the router"}
        onClick={() => controls.setOffline(id, !isOffline)}
      >
        {isOffline ? "Bring back" : "Take offline"}
      </button>
      <button
        type="button"
        class="quiet"
        aria-pressed={losesAcknowledgement}
        title="Its next acknowledgement gets lost: the router delivers again"
        onClick={() => controls.loseAcknowledgement(id, !losesAcknowledgement)}
      >
        Lose ack
      </button>
      <button
        type="button"
        class="quiet"
        aria-pressed={tampers}
        title="Change a bit of the next message to it: the seal shows it"
        onClick={() => controls.tamper(id, !tampers)}
      >
        Tamper
      </button>
      {controls.move !== undefined && (
        <button
          type="button"
          class="quiet"
          disabled={controls.isMoveOff}
          title="Go on with this party in another tab, or on a phone"
          onClick={() => controls.move?.(id)}
        >
          Move out
        </button>
      )}
    </div>
  );
}

function presenceOf(party: PartyState): { readonly key: string; readonly text: string } {
  if (party.place === "elsewhere") {
    return party.isSeen
      ? { key: "online", text: "runs elsewhere" }
      : { key: "missing", text: "moved out" };
  }
  if (party.isOffline) return { key: "offline", text: "offline" };
  if (party.link === "connected") return { key: "online", text: "online" };
  if (party.link === "reconnecting") return { key: "missing", text: "reconnecting" };
  return { key: "missing", text: "connecting" };
}

function KeyIcon(): JSX.Element {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="5" cy="8" r="3" />
      <path d="M8 8h6.5M12 8v2.5" />
    </svg>
  );
}
