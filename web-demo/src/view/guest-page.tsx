import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Credentials } from "../control/credentials.ts";
import type { Guest } from "../control/guest.ts";
import type { Question, State } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import { Foot } from "./conductor-page.tsx";
import { CredentialsDialog } from "./credentials-dialog.tsx";
import { LogList } from "./log-list.tsx";
import { MessageDialog } from "./message-dialog.tsx";
import { Outcome } from "./outcome.tsx";
import type { PartyControls } from "./party-card.tsx";
import { Stage, type Selection } from "./stage.tsx";
import { AwayBanner, TopBar } from "./top-bar.tsx";
import { useStateOf } from "./use-state-of.ts";

/** The page of one party, in a tab or on a phone of its own. */
export function GuestPage(props: {
  readonly store: Store;
  readonly guest: Guest;
  readonly credentials: Credentials;
}): JSX.Element {
  const { store, guest, credentials } = props;
  const state = useStateOf(store);
  const [selection, setSelection] = useState<Selection | undefined>();
  const { cast } = guest;
  const controls: PartyControls = {
    setOffline: (id, isOffline) => cast.setOffline(id, isOffline),
    loseAcknowledgement: (id, isArmed) => cast.loseAcknowledgement(id, isArmed),
    tamper: (id, isArmed) => cast.tamper(id, isArmed),
  };
  return (
    <>
      <TopBar state={state} />
      <AwayBanner state={state} />
      <main>
        <Intro state={state} />
        <Approval question={state.question} onApprove={() => guest.approve()} />
        <Stage state={state} controls={controls} onSelect={setSelection} />
        <div class="below">
          <Outcome state={state} isAuthenticated={credentials.areWanted} />
          <LogList entries={state.log} />
        </div>
      </main>
      <Foot />
      {selection !== undefined && (
        <MessageDialog
          state={state}
          selection={selection}
          onClose={() => setSelection(undefined)}
        />
      )}
      {state.wanted !== undefined && (
        <CredentialsDialog wanted={state.wanted} credentials={credentials} partyIds={[]} />
      )}
    </>
  );
}

function Intro({ state }: { readonly state: State }): JSX.Element {
  const own = state.parties.find((party) => party.place === "here");
  useEffect(() => {
    document.title = `${own?.name}: mpc-router`;
  }, [own?.name]);
  return (
    <section class="intro">
      <h1>You are {own?.name}</h1>
      <p>
        This tab is one of the parties, with keys of its own. Order a key on the first page: it is
        made here as well. Before a signature, you are asked here.
      </p>
    </section>
  );
}

function Approval(props: {
  readonly question: Question | undefined;
  readonly onApprove: () => void;
}): JSX.Element {
  const { question, onApprove } = props;
  return (
    <div class="approval" role="status">
      {question !== undefined && (
        <div>
          <h2>You are asked to sign</h2>
          <p>
            SHA-256 <code>{question.messageHash}</code>
          </p>
          <button type="button" class="button is-primary" onClick={onApprove}>
            Allow this signature
          </button>
        </div>
      )}
    </div>
  );
}
