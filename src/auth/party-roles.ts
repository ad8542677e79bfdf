import type { PartyRole } from "../domain/sessions/session.ts";

export function isPartyRole(value: unknown): value is PartyRole {
  return value === "persistent" || value === "delegate" || value === "temporary";
}
