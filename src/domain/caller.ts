import { RouterError } from "./errors.ts";

/**
 * Who calls. Without authentication (development) every caller counts as the party it names, and as coordinator; with
 * it the credential decides.
 */
export type Caller =
  | { readonly kind: "open" }
  | { readonly kind: "party"; readonly partyId: string }
  | { readonly kind: "coordinator" };

/** The party that the call acts as: the one it names, if the caller may speak for it. */
export function actingParty(caller: Caller, namedPartyId: string): string {
  if (caller.kind === "open" || (caller.kind === "party" && caller.partyId === namedPartyId)) {
    return namedPartyId;
  }
  throw new RouterError("CALLER_MISMATCH", "the credential does not belong to the party named");
}

/** Refuses everybody but the control plane. */
export function requireCoordinator(caller: Caller): void {
  if (caller.kind === "party") {
    throw new RouterError("COORDINATOR_ONLY", "this call needs a coordinator's credential");
  }
}
