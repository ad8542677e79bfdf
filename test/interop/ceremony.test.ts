import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startIssuer } from "../support/credentials.ts";
import { startRouter } from "../support/router.ts";
import { runProgram, type ProgramResult } from "./program.ts";

const program = fileURLToPath(new URL("../../examples/ceremony/main.ts", import.meta.url));

/** What `--json` prints at the end. */
interface Result {
  readonly ok: boolean;
  readonly startedRouter: boolean;
  readonly runs: readonly {
    readonly signers: readonly string[];
    readonly publicKey: string;
    readonly messageHash: string;
    readonly signature: string;
    readonly verified: boolean;
  }[];
  readonly parties: readonly { readonly partyId: string; readonly protocol: string }[];
  readonly traffic: {
    readonly messages: number;
    readonly deliveries: number;
    readonly bytes: number;
    readonly hopMs: { readonly median: number; readonly max: number };
  };
}

describe("the ceremony", () => {
  it("makes a key and a signature between three processes over three protocols", async () => {
    await using router = await startRouter();

    const ended = await ceremony("--url", router.url, "--json");

    const result = resultOf(ended);
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(result.ok, true);
    assert.equal(result.startedRouter, false);
    const protocols = result.parties.map((party) => party.protocol);
    assert.deepEqual(protocols, ["grpc", "grpc-web", "connect-json"]);
    // Key generation: 3 broadcasts and 6 shares; signing by two: 2 and 2 broadcasts.
    assert.equal(result.traffic.messages, 13);
    assert.equal(result.traffic.deliveries, 16);
    assert.ok(result.traffic.hopMs.median > 0);
    assert.match(ended.stderr, /verified/);
  });

  it("lets every pair of the three sign, each time with a new key", async () => {
    await using router = await startRouter();

    const ended = await ceremony("--url", router.url, "--runs", "3", "--json");

    const { runs, parties } = resultOf(ended);
    assert.equal(ended.code, 0, ended.stderr);
    const [alice, bob, carol] = parties.map((party) => party.partyId);
    const pairs = runs.map((run) => run.signers);
    assert.deepEqual(pairs, [
      [alice, bob],
      [bob, carol],
      [carol, alice],
    ]);
    assert.equal(new Set(runs.map((run) => run.publicKey)).size, 3);
    assert.ok(runs.every((run) => run.verified && isSignature(run)));
  });

  it("issues tokens for itself and its parties where the router wants them", async () => {
    await using issuer = await startIssuer();
    await using router = await startRouter({ args: issuer.flags });

    const refused = await ceremony("--url", router.url, "--json");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /UNAUTHENTICATED/);

    const key = `${issuer.directory}/secret`;
    const ended = await ceremony("--url", router.url, "--token-key", key, "--json");
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(resultOf(ended).ok, true);
  });

  it("starts a router for itself when none is named and none runs", async () => {
    const ended = await ceremony("--json");

    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(resultOf(ended).ok, true);
  });

  it("says what it waited for when the time is over", async () => {
    const ended = await ceremony("--url", "http://127.0.0.1:1", "--deadline-s", "1", "--json");

    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /not done after 1 s\n {2}the router is not ready/);
    assert.equal(resultOf(ended).ok, false);
  });

  it("refuses an option that it does not know", async () => {
    const ended = await ceremony("--rnus", "3");

    assert.equal(ended.code, 2);
    assert.match(ended.stderr, /--rnus/);
    assert.equal(ended.stdout, "");
  });
});

async function ceremony(...args: readonly string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, [program, ...args], { timeoutMs: 130_000 });
}

function resultOf(ended: ProgramResult): Result {
  const line = ended.stdout.trim().split("\n").at(-1) ?? "";
  assert.match(line, /^\{.*\}$/, ended.stderr);
  return JSON.parse(line) as Result;
}

/** Judged here once more, from nothing but the printed hex. */
function isSignature(run: Result["runs"][number]): boolean {
  const x = Buffer.from(run.publicKey, "hex").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const hash = Buffer.from(run.messageHash, "hex");
  return verify(null, hash, key, Buffer.from(run.signature, "hex"));
}
