import { render } from "preact";
import { refusalOf } from "./control/admission.ts";
import { Conductor } from "./control/conductor.ts";
import { Credentials } from "./control/credentials.ts";
import { Guest } from "./control/guest.ts";
import { partyOf, type MovedParty } from "./control/party-link.ts";
import { tokenOf } from "./control/tokens.ts";
import { Store } from "./model/store.ts";
import { ConductorPage } from "./view/conductor-page.tsx";
import { Fatal } from "./view/fatal.tsx";
import { GuestPage } from "./view/guest-page.tsx";

async function start(root: HTMLElement): Promise<void> {
  // Pages that came without TLS from another machine have no cryptography: the browser's rule, not ours.
  if (!globalThis.isSecureContext) {
    render(<Fatal problem="insecure" />, root);
    return;
  }
  let moved: MovedParty | undefined;
  try {
    moved = takeParty();
  } catch {
    render(<Fatal problem="link" />, root);
    return;
  }
  const { origin } = location;
  const store = new Store();
  const isAuthenticated = (await refusalOf(origin)) !== undefined;
  const credentials = new Credentials(store, origin, isAuthenticated);
  if (moved === undefined) {
    const conductor = new Conductor({ store, origin, credentials });
    render(<ConductorPage store={store} conductor={conductor} credentials={credentials} />, root);
    await conductor.begin();
    return;
  }
  const token = tokenOf(moved.token ?? "");
  if (isAuthenticated && token !== undefined) await credentials.offer([token]);
  const guest = new Guest({ store, origin, credentials, party: moved });
  render(<GuestPage store={store} guest={guest} credentials={credentials} />, root);
}

/** The party of a link, whose secrets then leave the address bar and the history. */
function takeParty(): MovedParty | undefined {
  const { href } = location;
  history.replaceState(null, "", href.replace(/#.*$/s, ""));
  return partyOf(href);
}

const root = document.querySelector<HTMLElement>("#page");
if (root !== null) {
  root.replaceChildren();
  void start(root);
}
