import { RouterError } from "./errors.ts";
import type { PartyRole } from "./sessions/session.ts";

/**
 * Who calls. Without authentication (development) every caller counts as the party it names, and as coordinator; with
 * it the credential decides.
 */
export type Caller =
  | { readonly kind: "open" }
  | {
      readonly kind: "party";
      readonly partyId: string;
      /** Roles it may register; when nothing is said of them, `temporary` alone. */
      readonly roles?: readonly PartyRole[];
    }
  | {
      readonly kind: "coordinator";
      /** Tells it from other coordinators, where the credential says which it is. */
      readonly name?: string;
    };

/** A caller as its credential proves it, and for how long. */
export interface Identity {
  readonly caller: Caller;
  /** Unix milliseconds, the leeway for clocks that differ included; infinity where the credential never ends. */
  readonly expiresAtMs: number;
}

const unstatedRoles: readonly PartyRole[] = ["temporary"];

/** The party that the call acts as: the one it names, if the caller may speak for it. */
export function actingParty(caller: Caller, namedPartyId: string): string {
  if (caller.kind === "open" || (caller.kind === "party" && caller.partyId === namedPartyId)) {
    return namedPartyId;
  }
  throw new RouterError("CALLER_MISMATCH", "the credential does not belong to the party named");
}

/** Refuses everybody but the control plane, and gives the name that stands for the caller there. */
export function requireCoordinator(caller: Caller): string {
  switch (caller.kind) {
    case "coordinator":
      return caller.name ?? "coordinator";
    case "open":
      return "anybody";
    case "party":
      throw new RouterError("COORDINATOR_ONLY", "this call needs a coordinator's credential");
  }
}

/** Refuses a role that the caller's credential does not allow it to register. */
export function requireAllowedRole(caller: Caller, role: PartyRole): void {
  if (caller.kind !== "party" || (caller.roles ?? unstatedRoles).includes(role)) return;
  throw new RouterError("ROLE_NOT_ALLOWED", `the credential does not allow the role ${role}`);
}
