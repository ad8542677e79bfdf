import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Credentials } from "../control/credentials.ts";
import { commandsFor, leftOf, missingOf } from "../control/missing.ts";
import { keyOf, readTokens, type ReadTokens, type Token } from "../control/tokens.ts";
import type { WantedTokens } from "../model/state.ts";
import { CopyButton } from "./copy-button.tsx";
import { Dialog } from "./dialog.tsx";

/** Asks for tokens, and says which, until the router lets in whom they name. */
export function CredentialsDialog(props: {
  readonly wanted: WantedTokens;
  readonly credentials: Credentials;
  /** Names for parties that there are no tokens of yet. */
  readonly partyIds: readonly string[];
}): JSX.Element {
  const { wanted, credentials, partyIds } = props;
  const [text, setText] = useState("");
  const [isChecking, setChecking] = useState(false);
  const [refusals, setRefusals] = useState<readonly string[]>([]);
  const read = readTokens(text);
  const fresh = read.tokens.filter((token) => !isExpired(token));
  const there = [...credentials.fresh(), ...fresh];
  const missing = missingOf(wanted, there);
  const isReady = missing === undefined && fresh.length > 0 && !isChecking;
  const offer = async (): Promise<void> => {
    setChecking(true);
    setRefusals(await credentials.offer(fresh));
    setChecking(false);
  };
  return (
    <Dialog title="This router wants credentials">
      <p>{purposeOf(wanted)} Tokens stay in this page’s memory, and are gone when it is closed.</p>
      <form
        class="tokens"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) void offer();
        }}
      >
        <label for="tokens">Tokens, one a line</label>
        <textarea
          id="tokens"
          rows={5}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setRefusals([]);
          }}
        />
        <div role="status">
          <Findings read={read} />
        </div>
        <div role="alert">{refusals.length > 0 && <Refusals refusals={refusals} />}</div>
        <button type="submit" class="button is-primary" disabled={!isReady}>
          {isChecking ? "Asking the router…" : "Use these tokens"}
        </button>
      </form>
      {missing !== undefined && <Commands text={commandsFor(missing, leftOf(partyIds, there))} />}
    </Dialog>
  );
}

/** What the lines are, by their own claims. */
function Findings({ read }: { readonly read: ReadTokens }): JSX.Element {
  return (
    <ul class="findings">
      {read.tokens.map((token) => (
        <li key={token.text} class={isExpired(token) ? "is-bad" : "is-read"}>
          {keyOf(token.holder)}
          {isExpired(token) && ": has expired"}
        </li>
      ))}
      {read.otherLines.map((line) => (
        <li key={line} class="is-bad">
          line {line}: no token of a party or a coordinator
        </li>
      ))}
    </ul>
  );
}

function Refusals({ refusals }: { readonly refusals: readonly string[] }): JSX.Element {
  return (
    <>
      <p class="refusal">The router does not take these tokens. It says:</p>
      <ul class="findings">
        {refusals.map((refusal) => (
          <li key={refusal} class="is-bad">
            {refusal}
          </li>
        ))}
      </ul>
    </>
  );
}

function Commands({ text }: { readonly text: string }): JSX.Element {
  return (
    <section class="commands" aria-label="Commands">
      <header>
        <h3>These issue what is missing</h3>
        <CopyButton text={text} what="commands" />
      </header>
      <pre tabIndex={0} role="group" aria-label="Commands that issue the missing tokens">
        <code data-value="commands">{text}</code>
      </pre>
      <p class="empty">
        In a checkout of the router, with the key that its tokens are verified with, and with{" "}
        <code>--issuer</code> and <code>--audience</code> where it checks them.
      </p>
    </section>
  );
}

function purposeOf({ coordinator, leastParties }: WantedTokens): string {
  if (leastParties > 0) {
    return "This page plays the wallet’s backend and the parties: it wants a token of a coordinator, and one of each party, at least two.";
  }
  return coordinator
    ? "The token of the coordinator, or of one party with it, has expired or is not taken any longer. All waits for new ones."
    : "A party’s token is missing or has expired. It waits for a new one.";
}

function isExpired({ expiresAtMs }: Token): boolean {
  return expiresAtMs <= Date.now();
}
