import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runProgram, type ProgramResult } from "../../interop/program.ts";
import { startRouter } from "../../support/router.ts";
import { mainPath } from "../process/processes.ts";

interface Scratch extends AsyncDisposable {
  readonly path: (name: string) => string;
  /** Runs `mpc-router token …`. */
  token(...args: readonly string[]): Promise<ProgramResult>;
}

async function setup(): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-token-"));
  return {
    path: (name) => join(directory, name),
    token: (...args) =>
      runProgram(process.execPath, [mainPath, "token", ...args], { timeoutMs: 30_000 }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The heartbeat of a party by curl: its status and text. */
async function heartbeat(url: string, token: string, partyId: string): Promise<string> {
  const { stdout } = await runProgram(
    "curl",
    [
      `${url}/mpc.router.v1.MessageRouter/Heartbeat`,
      "-sS",
      "-w %{http_code}",
      "-Hcontent-type: application/json",
      `-Hauthorization: Bearer ${token}`,
      `-d${JSON.stringify({ party_id: partyId })}`,
    ],
    { timeoutMs: 10_000 },
  );
  return stdout;
}

const audience = ["--issuer=test", "--audience=mpc"];

describe("mpc-router token", () => {
  for (const alg of ["EdDSA", "ES256", "RS256"]) {
    it(`makes a key of ${alg}, and tokens that a router takes by curl`, async () => {
      await using scratch = await setup();
      const key = scratch.path("dev.jwk");
      const made = await scratch.token("key", `--alg=${alg}`, `--out=${key}`);
      assert.equal(made.code, 0, made.stderr);
      assert.match(made.stdout, new RegExp(`--auth-jwks=${key}\\.jwks`));
      assert.equal((await stat(key)).mode & 0o777, 0o600);
      assert.doesNotMatch(await readFile(`${key}.jwks`, "utf8"), /"d"/);
      const issue = [
        "issue",
        `--key=${key}`,
        "--party=alice",
        "--party-role=persistent",
        "--ttl=5m",
      ];
      const issued = await scratch.token(...issue, ...audience);
      assert.equal(issued.code, 0, issued.stderr);
      const sealKeys = scratch.path("seal-keys");
      await writeFile(sealKeys, randomBytes(32).toString("base64"));
      await using router = await startRouter({
        args: [
          `--auth-jwks=${key}.jwks`,
          "--auth-issuer=test",
          "--auth-audience=mpc",
          `--seal-key-file=${sealKeys}`,
        ],
      });
      const token = issued.stdout.trim();
      assert.match(await heartbeat(router.url, token, "alice"), /PARTY_NOT_FOUND[^]* 404$/);
      assert.match(await heartbeat(router.url, token, "bob"), /CALLER_MISMATCH[^]* 403$/);
      assert.match(await heartbeat(router.url, `${token}x`, "alice"), /UNAUTHENTICATED[^]* 401$/);
      assert.match(router.output(), /authentication: tokens of the keys at /);
      assert.doesNotMatch(router.output(), /no authentication|a browser at/);
      assert.equal((await fetch(router.url)).status, 200);
    });
  }

  it("makes a secret, and tokens of parties and coordinators with it", async () => {
    await using scratch = await setup();
    const secret = scratch.path("secret");
    const made = await scratch.token("key", "--alg=HS256", "--out", secret);
    assert.equal(made.code, 0, made.stderr);
    assert.equal((await stat(secret)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(scratch.path(".")), ["secret"]);
    const issued = await scratch.token("issue", "--key", secret, "--coordinator");
    assert.equal(issued.code, 0, issued.stderr);
    const sealKeys = scratch.path("seal-keys");
    await writeFile(sealKeys, randomBytes(32).toString("base64"));
    await using router = await startRouter({
      args: [`--auth-jwt-secret-file=${secret}`, `--seal-key-file=${sealKeys}`, "--demo"],
    });
    const token = issued.stdout.trim();
    assert.match(await heartbeat(router.url, token, "alice"), /CALLER_MISMATCH[^]* 403$/);
    const list = await fetch(`${router.url}/mpc.coordinator.v1.SessionCoordinator/ListSessions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: "{}",
    });
    assert.equal(list.status, 200);
    assert.doesNotMatch(router.output(), new RegExp(token));
    assert.match(router.output(), /authentication: tokens of a shared secret\n[^]*a browser at /);
  });

  it("says what is wrong on stderr, and ends with exit code 64", async () => {
    await using scratch = await setup();
    const { code, stdout, stderr } = await scratch.token("issue", "--coordinator");
    assert.deepEqual([code, stdout], [64, ""]);
    assert.equal(stderr, "mpc-router: --key is needed: a file that mpc-router token key made\n");
  });
});
