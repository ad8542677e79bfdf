import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  actingParty,
  requireAllowedRole,
  requireCoordinator,
  type Caller,
} from "../../../src/domain/caller.ts";
import { isRouterError, type RouterErrorReason } from "../../../src/domain/errors.ts";

const open: Caller = { kind: "open" };
const coordinator: Caller = { kind: "coordinator" };
const alice: Caller = { kind: "party", partyId: "alice" };
const persistentAlice: Caller = { ...alice, roles: ["persistent"] };

function refuses(check: () => unknown, reason: RouterErrorReason): void {
  assert.throws(check, (error) => isRouterError(error, reason));
}

describe("a caller", () => {
  it("acts as the party of its credential, and without authentication as the one it names", () => {
    assert.equal(actingParty(alice, "alice"), "alice");
    assert.equal(actingParty(open, "anybody"), "anybody");
    refuses(() => actingParty(alice, "bob"), "CALLER_MISMATCH");
    refuses(() => actingParty(coordinator, "alice"), "CALLER_MISMATCH");
  });

  it("is the control plane by its credential alone", () => {
    assert.equal(requireCoordinator(coordinator), "coordinator");
    assert.equal(requireCoordinator({ ...coordinator, name: "backend" }), "backend");
    assert.equal(requireCoordinator(open), "anybody");
    refuses(() => requireCoordinator(alice), "COORDINATOR_ONLY");
  });

  it("registers the roles of its credential, and temporary where that says nothing of them", () => {
    for (const role of ["persistent", "delegate", "temporary"] as const) {
      requireAllowedRole(open, role);
    }
    requireAllowedRole(alice, "temporary");
    requireAllowedRole(persistentAlice, "persistent");
    refuses(() => requireAllowedRole(alice, "persistent"), "ROLE_NOT_ALLOWED");
    refuses(() => requireAllowedRole(alice, "delegate"), "ROLE_NOT_ALLOWED");
    refuses(() => requireAllowedRole(persistentAlice, "temporary"), "ROLE_NOT_ALLOWED");
    refuses(() => requireAllowedRole({ ...alice, roles: [] }, "temporary"), "ROLE_NOT_ALLOWED");
  });
});
