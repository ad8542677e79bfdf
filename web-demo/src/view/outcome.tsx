import type { JSX } from "preact";
import { namesOf } from "../model/changes.ts";
import type { State } from "../model/state.ts";
import { CopyButton } from "./copy-button.tsx";

/** What all this is for: the public key, the signature, and how to look at the session from outside. */
export function Outcome(props: {
  readonly state: State;
  readonly isAuthenticated: boolean;
}): JSX.Element {
  const { state, isAuthenticated } = props;
  const { publicKey, signature, message, isVerified, signers, tookMs } = state.run;
  return (
    <section class="outcome" aria-labelledby="outcome-title">
      <header>
        <h2 id="outcome-title">Result</h2>
        {isVerified === true && (
          <span class="verdict is-good">
            <svg viewBox="0 0 16 16" aria-hidden="true">
              <path d="M3.5 8.4l3 3 6-6.6" />
            </svg>
            verified
          </span>
        )}
        {isVerified === false && <span class="verdict is-bad">not verified</span>}
        {tookMs !== undefined && <span class="took">{(tookMs / 1_000).toFixed(1)} s</span>}
      </header>
      <Value
        label="Public key"
        what="public key"
        value={publicKey}
        empty="Made by all parties together; nobody has the private key."
      />
      <Value
        label={signature === undefined ? "Signature" : `Signature by ${namesOf(state, signers)}`}
        what="signature"
        value={signature}
        empty="A plain Ed25519 signature, as any verifier expects it."
      />
      {isVerified === true && (
        <p class="verified-by">
          Your browser’s own Ed25519, which knows nothing of thresholds, has checked it
          {message === "" ? "." : ` for “${message}”.`}
        </p>
      )}
      <Command state={state} isAuthenticated={isAuthenticated} />
    </section>
  );
}

function Value(props: {
  readonly label: string;
  readonly what: string;
  readonly value: string | undefined;
  readonly empty: string;
}): JSX.Element {
  const { label, what, value, empty } = props;
  return (
    <div class="value">
      <h3>{label}</h3>
      {value === undefined ? (
        <p class="empty">{empty}</p>
      ) : (
        <div class="copyable">
          <code data-value={what}>{value}</code>
          <CopyButton text={value} what={what} />
        </div>
      )}
    </div>
  );
}

function Command(props: {
  readonly state: State;
  readonly isAuthenticated: boolean;
}): JSX.Element | null {
  const { state, isAuthenticated } = props;
  const sessionId = state.run.signSessionId ?? state.run.keygenSessionId;
  if (sessionId === undefined) return null;
  // A token itself stands nowhere on the page.
  const credential = isAuthenticated ? ' -H "authorization: Bearer $TOKEN"' : "";
  const command = curlFor(location.origin, sessionId) + credential;
  return (
    <div class="value">
      <h3>The same, from your terminal</h3>
      <div class="copyable">
        <code data-value="command">{command}</code>
        <CopyButton text={command} what="command" />
      </div>
    </div>
  );
}

function curlFor(origin: string, sessionId: string): string {
  const url = `${origin}/mpc.coordinator.v1.SessionCoordinator/GetSession`;
  return `curl ${url} -H 'content-type: application/json' -d '{"session_id":"${sessionId}"}'`;
}
