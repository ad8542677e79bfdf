import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conductor } from "../control/conductor.ts";
import { namesOf, nameOf } from "../model/changes.ts";
import type { Pace, State } from "../model/state.ts";
import { roundOf, rounds } from "../parties/rounds.ts";
import { Segments, type Choice } from "./segments.tsx";
import { messagesOnStage } from "./stage.tsx";

const counts: readonly Choice<string>[] = [
  { value: "2", label: "2 of 2" },
  { value: "3", label: "2 of 3" },
  { value: "4", label: "3 of 4" },
  { value: "5", label: "3 of 5" },
];

const paces: readonly Choice<Pace>[] = [
  { value: "watch", label: "Watch" },
  { value: "step", label: "Step" },
  { value: "full", label: "Full speed" },
];

const mostCharacters = 120;

/** What the user orders, and how fast it goes. */
export function RunBar(props: {
  readonly state: State;
  readonly conductor: Conductor;
}): JSX.Element {
  const { state, conductor } = props;
  const [message, setMessage] = useState("Hello from nobody in particular");
  const isBusy = isRunning(state);
  const isAnyMoved = state.parties.some((party) => party.place === "elsewhere");
  return (
    <section class="run-bar" aria-label="Controls">
      <label class="message-field">
        <span>Message to sign</span>
        <input
          type="text"
          value={message}
          maxLength={mostCharacters}
          disabled={isBusy}
          onInput={(event) => setMessage(event.currentTarget.value)}
        />
      </label>
      <Segments
        legend="Threshold"
        name="parties"
        choices={counts.filter(({ value }) => Number(value) <= conductor.mostParties)}
        value={String(state.parties.length)}
        isDisabled={isBusy || isAnyMoved}
        onChange={(value) => conductor.setParties(Number(value))}
      />
      <Segments
        legend="Pace"
        name="pace"
        choices={paces}
        value={state.pace}
        onChange={(pace) => conductor.cast.setPace(pace)}
      />
      <div class="run-actions">
        <RunButtons state={state} conductor={conductor} message={message} />
      </div>
      <p class={`progress is-${state.run.stage}`} role="status">
        {progressText(state)}
      </p>
    </section>
  );
}

function RunButtons(props: {
  readonly state: State;
  readonly conductor: Conductor;
  readonly message: string;
}): JSX.Element {
  const { state, conductor, message } = props;
  const { run, wants, pace } = state;
  if (isRunning(state)) {
    return (
      <>
        {pace === "step" ? (
          <button
            type="button"
            class="button is-primary"
            disabled={wants.length === 0}
            onClick={() => conductor.cast.step()}
          >
            Next message
          </button>
        ) : (
          <button type="button" class="button is-primary" disabled>
            {run.stage === "keygen" ? "Making the key…" : "Signing…"}
          </button>
        )}
        <button type="button" class="quiet" onClick={() => conductor.stop()}>
          Stop
        </button>
      </>
    );
  }
  const hasKey = run.publicKey !== undefined;
  const isEveryoneThere =
    state.parties.length > 0 && state.parties.every((party) => party.link !== "starting");
  return (
    <>
      {hasKey && (
        <button
          type="button"
          class="button is-primary"
          onClick={() => void conductor.signAgain(message)}
        >
          Sign again
        </button>
      )}
      <button
        type="button"
        class={hasKey ? "button" : "button is-primary"}
        disabled={!isEveryoneThere}
        onClick={() => void conductor.makeKeyAndSign(message)}
      >
        {hasKey ? "New key" : "Make a key and sign"}
      </button>
    </>
  );
}

function isRunning(state: State): boolean {
  return state.run.stage === "keygen" || state.run.stage === "sign";
}

function doneText(state: State): string {
  const { isVerified, signers, tookMs = 0 } = state.run;
  if (isVerified !== true) return "Signed, but the signature does not verify.";
  const seconds = (tookMs / 1_000).toFixed(1);
  return `Signed by ${namesOf(state, signers)}, and verified by your browser, in ${seconds} s.`;
}

/** Where things stand, in a line. */
function progressText(state: State): string {
  const { run, wants, pace } = state;
  if (run.stage === "failed") return run.failure ?? "Failed.";
  if (run.stage === "done") return doneText(state);
  if (run.stage === "idle") return "Ready. One click does it all.";
  if (run.progress !== "") return run.progress;
  const offline = state.parties.filter((party) => party.isOffline);
  if (offline.length > 0) {
    const names = namesOf(
      state,
      offline.map((party) => party.id),
    );
    return `${names} ${offline.length === 1 ? "is" : "are"} offline. Mail waits at the router.`;
  }
  const [want] = wants;
  if (pace === "step" && want !== undefined) {
    const to = want.to.length === 0 ? "everybody" : namesOf(state, want.to);
    return `Next: ${nameOf(state, want.partyId)} to ${to}, ${roundOf(want.roundId).title}.`;
  }
  const last = messagesOnStage(state).at(-1)?.roundId;
  const round = rounds.find(({ id, session }) => id === last && session === run.stage);
  const what = run.stage === "keygen" ? "Making the key" : "Signing";
  return round === undefined ? `${what}…` : `${what}, round ${round.number} of 2…`;
}
