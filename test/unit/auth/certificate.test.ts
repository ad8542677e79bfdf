import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { callerOfNames, identityOfCertificate } from "../../../src/auth/certificate.ts";
import { isRouterError } from "../../../src/domain/errors.ts";

const validToMs = 2_000_000_000_000;

function refuses(...names: readonly string[]): void {
  assert.throws(
    () => callerOfNames(names),
    (error) => isRouterError(error, "UNAUTHENTICATED") && !error.message.includes("alice"),
    names.join(" "),
  );
}

function callerOf(subjectAltName: string | undefined): unknown {
  return identityOfCertificate({ subjectAltName, validToMs })?.caller;
}

describe("the names of a client certificate", () => {
  it("name a party, with the roles it may register, or the coordinator", () => {
    const alice = { kind: "party", partyId: "alice" };
    assert.deepEqual(callerOfNames(["urn:mpc:party:alice"]), alice);
    assert.deepEqual(callerOfNames(["spiffe://a/b", "urn:mpc:party:alice"]), alice);
    assert.deepEqual(
      callerOfNames([
        "urn:mpc:party-role:delegate",
        "urn:mpc:party:alice",
        "urn:mpc:party-role:temporary",
      ]),
      { ...alice, roles: ["delegate", "temporary"] },
    );
    assert.deepEqual(callerOfNames(["urn:mpc:role:coordinator"]), { kind: "coordinator" });
  });

  it("name nobody where none is ours", () => {
    assert.equal(callerOfNames([]), undefined);
    assert.equal(callerOfNames(["spiffe://a/urn:mpc:party:alice", "urn:mpcx:party:a"]), undefined);
  });

  it("are refused when there are several, or they contradict each other", () => {
    refuses("urn:mpc:party:alice", "urn:mpc:party:bob");
    refuses("urn:mpc:party:alice", "urn:mpc:party:alice");
    refuses("urn:mpc:party:alice", "urn:mpc:role:coordinator");
    refuses("urn:mpc:role:coordinator", "urn:mpc:role:coordinator");
    refuses("urn:mpc:role:coordinator", "urn:mpc:party-role:persistent");
    refuses("urn:mpc:party-role:persistent");
  });

  it("are refused when they begin like ours and are not", () => {
    for (const name of [
      "urn:mpc:party:",
      "urn:mpc:party:a.b",
      "urn:mpc:party:*",
      "urn:mpc:party:alice ",
      "urn:mpc:party:alice\n",
      `urn:mpc:party:${"x".repeat(129)}`,
      "urn:mpc:role:admin",
      "urn:mpc:role:coordinator:alice",
      "urn:mpc:party-role:root",
      "URN:MPC:party:alice",
      "urn:mpc:",
    ]) {
      refuses(name);
      refuses(name, "urn:mpc:party:alice");
    }
  });

  it("are found among the others as Node writes them, quoted ones being no names of ours", () => {
    const alice = { kind: "party", partyId: "alice" };
    assert.deepEqual(callerOf("URI:urn:mpc:party:alice"), alice);
    assert.deepEqual(
      callerOf("DNS:a.example, IP Address:127.0.0.1, URI:urn:mpc:party:alice, email:a@b"),
      alice,
    );
    for (const text of [
      undefined,
      "",
      "DNS:urn:mpc:party:alice",
      'DNS:"a, URI:urn:mpc:party:alice"',
      'DNS:"a\\", URI:urn:mpc:party:alice, DNS:\\"b"',
      'URI:"x, URI:urn:mpc:role:coordinator"',
      'DirName:"CN = a, URI:urn:mpc:party:alice"',
    ]) {
      assert.equal(callerOf(text), undefined, text);
    }
  });

  it("hold until the certificate ends", () => {
    const identity = identityOfCertificate({ subjectAltName: "URI:urn:mpc:party:a", validToMs });
    assert.equal(identity?.expiresAtMs, validToMs);
  });
});
