import type { EventStore, StoredEvent } from "./event-ports.ts";

/** Hands each event to the streams of the parties it selects: its cost is that of the streams it goes to. */
export interface EventHub extends Disposable {
  /**
   * From now on `listener` gets every event that selects the party. `after`: the last event it will not get this way.
   */
  join(
    partyId: string,
    listener: (stored: StoredEvent) => void,
  ): { readonly after: number; readonly leave: () => void };
}

/** Bounded by the number of open streams. */
export function createEventHub(store: EventStore): EventHub {
  const byParty = new Map<string, Set<(stored: StoredEvent) => void>>();
  const off = store.onEvent((stored) => {
    for (const partyId of new Set(stored.event.selectedParties)) {
      for (const listener of byParty.get(partyId) ?? []) listener(stored);
    }
  });
  return {
    join(partyId, listener) {
      const listeners = byParty.get(partyId) ?? new Set();
      byParty.set(partyId, listeners.add(listener));
      return {
        after: store.heardSequence(),
        leave: () => {
          listeners.delete(listener);
          if (listeners.size === 0 && byParty.get(partyId) === listeners) byParty.delete(partyId);
        },
      };
    },
    [Symbol.dispose]: off,
  };
}
