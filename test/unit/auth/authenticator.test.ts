import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createAuthenticate,
  type Authenticate,
  type ShownCredentials,
} from "../../../src/auth/authenticator.ts";
import { isRouterError } from "../../../src/domain/errors.ts";
import type { Caller, Identity } from "../../../src/domain/caller.ts";

const coordinator: Caller = { kind: "coordinator", name: "backend" };
const alice: Caller = { kind: "party", partyId: "alice" };

/** Tokens are names of callers here. */
const callers: Readonly<Record<string, Caller>> = {
  coordinator,
  alice,
  bob: { kind: "party", partyId: "bob" },
  persistentAlice: { ...alice, roles: ["persistent", "temporary"] },
};
const tokenUntilMs = 1_000;
const clock = { nowMs: (): number => 100 };

function verify(token: string): Identity {
  const caller = callers[token];
  assert.ok(caller, token);
  return { caller, expiresAtMs: tokenUntilMs };
}

function shown(authorization: string | null, names?: string, validToMs = 2_000): ShownCredentials {
  const certificate = names === undefined ? undefined : { subjectAltName: names, validToMs };
  return { authorization, certificate };
}

async function refuses(decide: Authenticate, credentials: ShownCredentials): Promise<void> {
  await assert.rejects(
    async () => decide(credentials),
    (error) => isRouterError(error, "UNAUTHENTICATED"),
    JSON.stringify(credentials),
  );
}

const aliceName = "URI:urn:mpc:party:alice";
const coordinatorName = "URI:urn:mpc:role:coordinator";

const authenticate = createAuthenticate(verify, clock);

async function rolesBy(token: string, names: string): Promise<unknown> {
  const identity = await authenticate(shown(`Bearer ${token}`, names));
  assert.equal(identity?.caller.kind, "party");
  return identity.caller.roles;
}

describe("the credentials of a call", () => {
  it("may be a bearer token, the scheme in any case", () => {
    for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer "]) {
      assert.deepEqual(authenticate(shown(`${scheme} alice`)), {
        caller: alice,
        expiresAtMs: tokenUntilMs,
      });
    }
  });

  it("may be none, which is nobody, as is a certificate without a name of ours", () => {
    assert.equal(authenticate(shown(null)), undefined);
    assert.equal(authenticate(shown(null, "DNS:alice")), undefined);
  });

  it("are refused when the header is anything but one bearer token", async () => {
    for (const header of [
      "",
      "Bearer",
      "Bearer ",
      "alice",
      "Basic alice",
      "Bearer alice, Bearer alice",
      "Bearer alice,bob",
      "Bearer alice bob",
      "Bearer al\u0000ice",
      "Bearer älice",
      `Bearer ${"a".repeat(8_192)}`,
    ]) {
      await refuses(authenticate, shown(header));
    }
  });

  it("may be a certificate, alone or beside a token of the same caller", () => {
    assert.deepEqual(authenticate(shown(null, aliceName)), { caller: alice, expiresAtMs: 2_000 });
    assert.deepEqual(authenticate(shown("Bearer alice", aliceName)), {
      caller: alice,
      expiresAtMs: tokenUntilMs,
    });
    assert.deepEqual(authenticate(shown("Bearer coordinator", coordinatorName, 500)), {
      caller: coordinator,
      expiresAtMs: 500,
    });
    assert.deepEqual(authenticate(shown("Bearer alice", "DNS:a.example")), {
      caller: alice,
      expiresAtMs: tokenUntilMs,
    });
  });

  it("are refused when the certificate has ended since the connection was made", async () => {
    await refuses(authenticate, shown(null, aliceName, 100));
    await refuses(authenticate, shown("Bearer alice", aliceName, 100));
    assert.ok(authenticate(shown(null, aliceName, 101)));
  });

  it("are refused when they are of two callers", async () => {
    await refuses(authenticate, shown("Bearer bob", aliceName));
    await refuses(authenticate, shown("Bearer coordinator", aliceName));
    await refuses(authenticate, shown("Bearer alice", coordinatorName));
  });

  it("allow the roles that both allow, where both say which", async () => {
    const persistent = `${aliceName}, URI:urn:mpc:party-role:persistent`;
    const delegate = `${aliceName}, URI:urn:mpc:party-role:delegate`;
    assert.equal(await rolesBy("alice", aliceName), undefined);
    assert.deepEqual(await rolesBy("alice", persistent), ["persistent"]);
    assert.deepEqual(await rolesBy("persistentAlice", aliceName), ["persistent", "temporary"]);
    assert.deepEqual(await rolesBy("persistentAlice", persistent), ["persistent"]);
    assert.deepEqual(await rolesBy("persistentAlice", delegate), []);
  });

  it("are a certificate alone where no tokens are taken", async () => {
    const byCertificate = createAuthenticate(undefined, clock);
    assert.deepEqual(await byCertificate(shown(null, aliceName)), {
      caller: alice,
      expiresAtMs: 2_000,
    });
    await refuses(byCertificate, shown("Bearer alice", aliceName));
  });
});
