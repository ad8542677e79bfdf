import type { BrokerReadiness } from "../nats/readiness.ts";
import type { StoreState } from "./broker.ts";

/** Ready while both are; what the store says of itself is the better reason. */
export function withStoreState(
  readiness: BrokerReadiness,
  store: StoreState | undefined,
): Omit<BrokerReadiness, keyof AsyncDisposable> {
  if (store === undefined) return readiness;
  const reason = (): string => store.trouble() || readiness.reason();
  return {
    isReady: () => reason() === "",
    reason,
    onChange(listener) {
      const offs = [readiness.onChange(listener), store.onChange(listener)];
      return () => {
        for (const off of offs) off();
      };
    },
  };
}
