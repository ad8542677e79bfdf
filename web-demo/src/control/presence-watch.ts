import { withParty } from "../model/changes.ts";
import type { Store } from "../model/store.ts";
import { pause } from "../pause.ts";
import type { CoordinatorApi } from "./coordinator-api.ts";

const lookMs = 1_000;

/** Asks the router whether parties that have left this page are there. */
export async function watchPresence(store: Store, api: CoordinatorApi): Promise<never> {
  for (;;) {
    await pause(lookMs);
    const away = store.state.parties.filter((party) => party.place === "elsewhere");
    if (away.length === 0) continue;
    const online = new Set(await api.onlineParties());
    for (const { id, isSeen, hasShare } of away) {
      if (isSeen === online.has(id)) continue;
      const present = hasShare ? "Holds its share" : "Is there; waits for a session";
      const activity = isSeen ? "Is not there" : present;
      store.update(withParty(id, { isSeen: !isSeen, activity }));
    }
  }
}
