import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conductor } from "../control/conductor.ts";
import type { Credentials } from "../control/credentials.ts";
import type { State } from "../model/state.ts";
import type { Store } from "../model/store.ts";
import { CredentialsDialog } from "./credentials-dialog.tsx";
import { LogList } from "./log-list.tsx";
import { MessageDialog } from "./message-dialog.tsx";
import { MoveDialog } from "./move-dialog.tsx";
import { Outcome } from "./outcome.tsx";
import type { PartyControls } from "./party-card.tsx";
import { RunBar } from "./run-bar.tsx";
import { Stage, type Selection } from "./stage.tsx";
import { AwayBanner, TopBar } from "./top-bar.tsx";
import { useStateOf } from "./use-state-of.ts";

const words = ["Several", "One", "Two", "Three", "Four", "Five"];

/** The page of whoever opens the demonstration. */
export function ConductorPage(props: {
  readonly store: Store;
  readonly conductor: Conductor;
  readonly credentials: Credentials;
}): JSX.Element {
  const { store, conductor, credentials } = props;
  const state = useStateOf(store);
  const [selection, setSelection] = useState<Selection | undefined>();
  const [movingId, setMovingId] = useState("");
  const { cast } = conductor;
  const isIdle = state.run.stage !== "keygen" && state.run.stage !== "sign";
  const controls: PartyControls = {
    setOffline: (id, isOffline) => cast.setOffline(id, isOffline),
    loseAcknowledgement: (id, isArmed) => cast.loseAcknowledgement(id, isArmed),
    tamper: (id, isArmed) => cast.tamper(id, isArmed),
    move: setMovingId,
    isMoveOff: !isIdle,
  };
  const moving = state.parties.find((party) => party.id === movingId);
  return (
    <>
      <TopBar state={state} />
      <AwayBanner state={state} />
      <main>
        <Intro state={state} />
        <RunBar state={state} conductor={conductor} />
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
      {moving !== undefined && (
        <MoveDialog party={moving} cast={cast} onClose={() => setMovingId("")} />
      )}
      {state.wanted !== undefined && (
        <CredentialsDialog
          wanted={state.wanted}
          credentials={credentials}
          partyIds={conductor.firstPartyIds}
        />
      )}
    </>
  );
}

function Intro({ state }: { readonly state: State }): JSX.Element {
  const count = words[state.parties.length] ?? "Several";
  const signers = (words[state.thresholdT] ?? "some").toLowerCase();
  return (
    <section class="intro">
      <h1>A key that nobody holds</h1>
      <p>
        {count} parties make a signing key together. Each keeps a share, {signers} of them can sign,
        and the whole key exists nowhere. All they say to each other goes through the router, which
        cannot read it.
      </p>
    </section>
  );
}

export function Foot(): JSX.Element {
  return (
    <footer>
      <p>
        Real parties, real cryptography: FROST over Ed25519 (RFC 9591), sealed with HPKE (RFC 9180),
        a worker and a gRPC-Web stream for each party. The keys end with this page. Never use them
        for funds.
      </p>
      <p>
        <a href="./licences.md">Licences of what is built in</a>
      </p>
    </footer>
  );
}
