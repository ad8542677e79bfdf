import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { exportSPKI, importJWK, type CryptoKey } from "jose";
import { isRouterError } from "../../../src/domain/errors.ts";
import type { Identity } from "../../../src/domain/caller.ts";
import type { TokenVerifier } from "../../../src/auth/token-verifier.ts";
import {
  exp,
  forged,
  goodClaims,
  nowSeconds,
  secret,
  setOf,
  setup,
  signed,
  signedBySecret,
  signingKey,
  type VerifierSetup,
} from "./keys.ts";

/** Refused as unauthenticated, with a text that has nothing of the token. */
async function refuses(verify: TokenVerifier, token: string, said?: RegExp): Promise<void> {
  await assert.rejects(
    async () => verify(token),
    (error) => {
      assert.ok(isRouterError(error, "UNAUTHENTICATED"), String(error));
      for (const piece of token.split(".").filter((text) => text.length > 4)) {
        assert.ok(!error.message.includes(piece), error.message);
      }
      assert.doesNotMatch(error.message, /mallory|alice|issuer/);
      if (said !== undefined) assert.match(error.message, said);
      return true;
    },
  );
}

const alice = { kind: "party", partyId: "alice" } as const;
const aliceUntil: Identity = { caller: alice, expiresAtMs: (exp + 30) * 1_000 };
const mallory = { ...goodClaims, sub: "mallory", role: "coordinator" };

describe("a token", () => {
  it("of each algorithm is accepted, and ends 30 seconds after its exp", async () => {
    const { verify, keyOf } = await setup();
    for (const key of Object.values(keyOf)) {
      assert.deepEqual(await verify(await signed(key)), aliceUntil, key.alg);
    }
    assert.deepEqual(await verify(await signedBySecret()), aliceUntil);
  });

  it("names a coordinator, or a party and the roles it may register", async () => {
    const { verify } = await setup();
    const callerOf = async (claims: object): Promise<unknown> =>
      (await verify(await signedBySecret({ ...goodClaims, ...claims }))).caller;
    for (const sub of [undefined, "", 7]) {
      assert.deepEqual(await callerOf({ role: "coordinator", sub }), { kind: "coordinator" });
    }
    assert.deepEqual(await callerOf({ role: "coordinator", sub: "backend@clients" }), {
      kind: "coordinator",
      name: "backend@clients",
    });
    assert.deepEqual(await callerOf({ role: "coordinator", sub: "x".repeat(300) }), {
      kind: "coordinator",
      name: "x".repeat(256),
    });
    assert.deepEqual(await callerOf({ party_role: "persistent" }), {
      ...alice,
      roles: ["persistent"],
    });
    assert.deepEqual(await callerOf({ party_role: ["delegate", "temporary"] }), {
      ...alice,
      roles: ["delegate", "temporary"],
    });
  });

  it("is refused when its claims are not as they have to be", async () => {
    const { verify } = await setup();
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ iss: "other" }, /iss/],
      [{ iss: undefined }, /iss/],
      [{ iss: ["issuer"] }, /iss/],
      [{ aud: "other" }, /aud/],
      [{ aud: undefined }, /aud/],
      [{ aud: { mpc: true } }, /aud/],
      [{ exp: undefined }, /exp/],
      [{ exp: String(exp) }, /exp/],
      [{ exp: null }, /exp/],
      [{ exp: nowSeconds - 30 }, /expired/],
      [{ nbf: nowSeconds + 31 }, /nbf/],
      [{ nbf: "now" }, /nbf/],
      [{ role: undefined }, /role/],
      [{ role: "admin" }, /role/],
      [{ role: ["party"] }, /role/],
      [{ role: true }, /role/],
      [{ sub: undefined }, /sub/],
      [{ sub: "" }, /sub/],
      [{ sub: 7 }, /sub/],
      [{ sub: ["mallory"] }, /sub/],
      [{ sub: "a.b" }, /sub/],
      [{ sub: "*" }, /sub/],
      [{ sub: ">" }, /sub/],
      [{ sub: "x".repeat(129) }, /sub/],
      [{ party_role: "root" }, /party_role/],
      [{ party_role: ["persistent", 1] }, /party_role/],
      [{ party_role: { 0: "persistent" } }, /party_role/],
      [{ party_role: null }, /party_role/],
    ];
    for (const [claims, text] of cases) {
      await refuses(verify, await signedBySecret({ ...goodClaims, ...claims }), text);
    }
  });

  it("is given 30 seconds for clocks that differ", async () => {
    const { verify } = await setup();
    await verify(await signedBySecret({ ...goodClaims, exp: nowSeconds - 29 }));
    await verify(await signedBySecret({ ...goodClaims, nbf: nowSeconds + 30 }));
  });

  it("may be for several audiences, of which we are one", async () => {
    const { verify } = await setup();
    await verify(await signedBySecret({ ...goodClaims, aud: ["other", "mpc"] }));
    await refuses(verify, await signedBySecret({ ...goodClaims, aud: ["other"] }));
  });
});

describe("a forged token is refused:", () => {
  it("without a signature, however none is spelled", async () => {
    const { verify } = await setup();
    for (const alg of ["none", "None", "NONE", "", "nOnE"]) {
      await refuses(verify, forged({ alg }, mallory));
      await refuses(verify, forged({ alg, kid: "EdDSA" }, mallory, "AAAA"));
    }
    await refuses(verify, forged({}, mallory, "AAAA"));
    for (const alg of ["EdDSA", "ES256", "RS256", "HS256"]) {
      await refuses(verify, forged({ alg, kid: alg }, mallory));
      await refuses(verify, forged({ alg, kid: alg }, mallory, "A".repeat(86)));
    }
  });

  it("by a public key taken for the secret, in every spelling of it", async () => {
    const { verify, keyOf } = await setup();
    for (const key of Object.values(keyOf)) {
      const imported = (await importJWK(key.publicJwk, key.alg)) as CryptoKey;
      const pem = await exportSPKI(imported);
      const spellings = [
        pem,
        pem.trim(),
        `${pem}\n`,
        JSON.stringify(key.publicJwk),
        key.publicJwk.x,
      ];
      for (const spelling of [...spellings, key.publicJwk.n ?? "x"]) {
        for (const kid of [undefined, key.publicJwk.kid]) {
          await refuses(verify, hmacForged({ alg: "HS256", kid }, String(spelling)));
        }
      }
    }
  });

  it("with the secret under another algorithm of its family, or with an empty one", async () => {
    const { verify } = await setup();
    await refuses(verify, hmacForged({ alg: "HS512" }, secret, { digest: "sha512" }));
    await refuses(verify, hmacForged({ alg: "HS384" }, secret, { digest: "sha384" }));
    await refuses(verify, hmacForged({ alg: "hs256" }, secret));
    await refuses(verify, hmacForged({ alg: "HS256" }, ""));
    await refuses(verify, hmacForged({ alg: "HS256" }, randomBytes(32)));
  });

  it("with the key that it brings along, or says where to get", async () => {
    const { verify, keySet } = await setup();
    const own = await signingKey("ES256");
    const { publicJwk } = own;
    for (const header of [
      { jwk: publicJwk },
      { jku: "http://127.0.0.1:1/keys", kid: "new" },
      { x5u: "http://127.0.0.1:1/cert" },
      { x5c: ["MIIB"] },
      { jwk: publicJwk, kid: "../../keys" },
    ]) {
      await refuses(verify, await signed(own, mallory, header));
    }
    // An unknown kid makes the router look at its own set again, and at nothing else.
    assert.ok(keySet.refreshes <= 2);
  });

  it("with a critical extension that is not known, or without its payload encoded", async () => {
    const { verify, keyOf } = await setup();
    const { EdDSA: key } = keyOf;
    const header = { alg: "HS256", crit: ["exp"], exp: 1 };
    await refuses(verify, hmacForged(header, secret));
    await refuses(verify, hmacForged({ alg: "HS256", crit: [] }, secret));
    await refuses(verify, hmacForged({ alg: "HS256", b64: false, crit: ["b64"] }, secret));
    const good = await signed(key);
    const [, claims = "", signature = ""] = good.split(".");
    const changed = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "EdDSA", crit: ["x"], x: 1 }));
    await refuses(verify, `${changed.toString("base64url")}.${claims}.${signature}`);
  });

  it("with the key of another kid, or with claims that were changed afterwards", async () => {
    const { verify, keyOf } = await setup();
    await refuses(verify, await signed(await signingKey("EdDSA"), mallory));
    await refuses(verify, await signed(keyOf.EdDSA, mallory, { kid: "ES256" }));
    const [header = "", , signature = ""] = (await signed(keyOf.EdDSA)).split(".");
    const claims = Buffer.from(JSON.stringify(mallory)).toString("base64url");
    await refuses(verify, `${header}.${claims}.${signature}`);
  });

  it("whatever else it is", async () => {
    const { verify } = await setup();
    const good = await signedBySecret();
    const [header = "", claims = "", signature = ""] = good.split(".");
    for (const token of [
      ".",
      "..",
      "a.b.c",
      `${header}.${claims}`,
      `${good}.x`,
      `${good}.${claims}.${signature}`,
      `${header}..${signature}`,
      `${header}.${claims}.`,
      hmacForged({ alg: "HS256" }, secret, { claims: "[]" }),
      hmacForged({ alg: "HS256" }, secret, { claims: '"text"' }),
      hmacForged({ alg: "HS256" }, secret, { claims: "{" }),
      hmacForged({ alg: ["HS256"] }, secret),
      hmacForged({ alg: { toString: "HS256" } }, secret),
      hmacForged({ alg: "HS256" }, secret, {
        claims: `{"__proto__":${JSON.stringify(mallory)},"exp":${nowSeconds + 60}}`,
      }),
    ]) {
      await refuses(verify, token);
    }
  });
});

async function verifiedTwice({ verify }: VerifierSetup): Promise<string> {
  const token = await signedBySecret();
  assert.deepEqual(await verify(token), await verify(token));
  return token;
}

describe("a verified token", () => {
  it("is remembered for five minutes, without a wait", async () => {
    const verifier = await setup();
    const { verify, verified, clock } = verifier;
    const token = await verifiedTwice(verifier);
    assert.equal(verified.count, 1);
    assert.deepEqual(verify(token), aliceUntil);
    clock.nowSeconds += 299;
    await verify(token);
    assert.equal(verified.count, 1);
    clock.nowSeconds += 2;
    await verify(token);
    assert.equal(verified.count, 2);
  });

  it("is not remembered past its end", async () => {
    const verifier = await setup();
    const { verify, clock } = verifier;
    const token = await signedBySecret({ ...goodClaims, exp: nowSeconds + 10 });
    await verify(token);
    clock.nowSeconds += 39;
    await verify(token);
    clock.nowSeconds += 1;
    await refuses(verify, token, /expired/);
  });

  it("is verified again when the keys have changed, and refused when its key is gone", async () => {
    const { verify, verified, keySet, keyOf } = await setup();
    const token = await signed(keyOf.EdDSA);
    await verify(token);
    keySet.swap(setOf(keyOf.EdDSA));
    await verify(token);
    assert.equal(verified.count, 2);
    keySet.swap(setOf(keyOf.ES256));
    await refuses(verify, token);
  });

  it("that was refused is not remembered", async () => {
    const { verify, keySet } = await setup();
    const key = await signingKey("EdDSA", "new");
    const token = await signed(key);
    await refuses(verify, token);
    keySet.swap(setOf(key));
    assert.deepEqual(await verify(token), aliceUntil);
  });
});

describe("a key id that is not known", () => {
  it("has the set read again, where the key may be by now", async () => {
    const { verify, keySet, keyOf } = await setup();
    const key = await signingKey("ES256", "rotated");
    keySet.next = setOf(keyOf.EdDSA, key);
    assert.deepEqual(await verify(await signed(key)), aliceUntil);
    assert.equal(keySet.refreshes, 1);
  });

  it("is unavailable rather than refused while there has been no set yet", async () => {
    const { verify, keySet, keyOf } = await setup();
    keySet.swap(undefined);
    const token = await signed(keyOf.EdDSA);
    await assert.rejects(
      async () => verify(token),
      (error) => isRouterError(error, "AUTH_KEYS_UNAVAILABLE") && error.retryAfterMs === 1_000,
    );
    keySet.next = setOf(keyOf.EdDSA);
    assert.deepEqual(await verify(token), aliceUntil);
  });
});

interface Forgery {
  readonly digest?: string;
  readonly claims?: string;
}

function hmacForged(
  header: object,
  key: string | Buffer,
  { digest = "sha256", claims = JSON.stringify(mallory) }: Forgery = {},
): string {
  const content = `${part(JSON.stringify(header))}.${part(claims)}`;
  return `${content}.${createHmac(digest, key).update(content).digest("base64url")}`;
}

function part(text: string): string {
  return Buffer.from(text).toString("base64url");
}
