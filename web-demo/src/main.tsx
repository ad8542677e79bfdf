import { render } from "preact";
import { Conductor } from "./control/conductor.ts";
import { Guest } from "./control/guest.ts";
import { partyOf } from "./control/party-link.ts";
import { Store } from "./model/store.ts";
import { ConductorPage } from "./view/conductor-page.tsx";
import { Fatal } from "./view/fatal.tsx";
import { GuestPage } from "./view/guest-page.tsx";

const startParties = 3;

function start(root: HTMLElement): void {
  // Pages that came without TLS from another machine have no cryptography: the browser's rule, not ours.
  if (!globalThis.isSecureContext) {
    render(<Fatal problem="insecure" />, root);
    return;
  }
  const store = new Store();
  try {
    const moved = partyOf(location.href);
    if (moved !== undefined) {
      const guest = new Guest(store, location.origin, moved);
      render(<GuestPage store={store} guest={guest} />, root);
      return;
    }
  } catch {
    render(<Fatal problem="link" />, root);
    return;
  }
  const conductor = new Conductor(store, location.origin);
  render(<ConductorPage store={store} conductor={conductor} />, root);
  conductor.setParties(startParties);
}

const root = document.querySelector<HTMLElement>("#page");
if (root !== null) {
  root.replaceChildren();
  start(root);
}
