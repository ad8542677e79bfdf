import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { startIssuer } from "../support/credentials.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { until } from "../support/until.ts";
import { runProgram, type ProgramResult } from "./program.ts";

const source = fileURLToPath(new URL("../../examples/go-party/", import.meta.url));

/** With an empty module cache and build cache. */
const buildTimeoutMs = 300_000;
const runTimeoutMs = 120_000;

/** Key generation: three broadcasts of each of three, to two, and 6 shares. Signing: 10 messages of each of two. */
const deliveries = 24 + 20;

/** What `--json` prints. */
interface Result {
  readonly publicKey: string;
  readonly signatures: readonly {
    readonly signers: readonly string[];
    readonly hash: string;
    readonly signature: string;
    readonly verified: boolean;
  }[];
  readonly figures: Readonly<Record<string, number>>;
}

describe("parties written in Go", () => {
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mpc-router-go-party-test-"));
    await go("build", "-mod=readonly", "-o", `${folder}/`, "./cmd/...");
  });
  after(async () => rm(folder, { recursive: true, force: true }));

  const demo = async (router: RouterProcess, ...args: readonly string[]): Promise<ProgramResult> =>
    runProgram(
      join(folder, "demo"),
      ["--addr", `${router.host}:${router.port}`, "--timeout=110s", "--json", ...args],
      { timeoutMs: runTimeoutMs },
    );

  it("are formatted and vetted, and pass their own tests", async () => {
    const formatted = await runProgram("gofmt", ["-l", "."], { cwd: source, timeoutMs: 30_000 });
    assert.equal(`${formatted.stdout}${formatted.stderr}`, "");
    await go("vet", "-mod=readonly", "./...");
    await go("test", "-mod=readonly", "-short", "./...");
  });

  it("make a threshold ECDSA key and sign with it, each a process with a token of its own", async () => {
    await using issuer = await startIssuer();
    await using router = await startRouter({ args: issuer.flags });
    const tokens = join(folder, "tokens");
    await mkdir(tokens);
    await writeFile(join(tokens, "coordinator"), await issuer.coordinator());
    for (const id of ["alice", "bob", "carol"]) {
      await writeFile(join(tokens, id), `${await issuer.party(id)}\n`);
    }

    const program = join(folder, "party");
    const ended = await demo(router, "--party-program", program, "--tokens", tokens);

    const { figures } = verifiedResult(ended);
    assert.equal(figures["received"], deliveries);
    assert.equal(figures["acknowledged"], deliveries);
    const refused = await demo(router);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /UNAUTHENTICATED/);
  });

  it("come through acknowledgements that are not sent and streams that are cut", async () => {
    await using router = await startRouter({ args: ["--ack-wait=300ms"] });

    const ended = await demo(router, "--skip-acks", "0.3", "--cut-every", "3");

    const { figures } = verifiedResult(ended);
    assert.equal(figures["received"], deliveries, "each message is handed over once");
    for (const fault of ["skippedAcknowledgements", "cuts", "redelivered", "reopenedStreams"]) {
      assert.ok((figures[fault] ?? 0) > 0, `${fault}: ${JSON.stringify(figures)}`);
    }
  });

  it("go on after a restart of the router in the middle of a key generation", async () => {
    await using router = await startRouter();
    const coordinator = createClient(
      SessionCoordinator,
      createGrpcTransport({ baseUrl: router.url }),
    );

    const running = demo(router);
    await until("a session is in progress", async () => {
      const { sessions } = await coordinator.listSessions({ statusFilter: "in_progress" });
      return sessions.length > 0;
    });
    await router.restart();
    const ended = await running;

    const { figures } = verifiedResult(ended);
    assert.equal(figures["received"], deliveries, "each message is handed over once");
    assert.ok((figures["reopenedStreams"] ?? 0) > 0);
  });
});

async function go(...args: readonly string[]): Promise<void> {
  const ended = await runProgram("go", args, { cwd: source, timeoutMs: buildTimeoutMs });
  assert.equal(ended.code, 0, `go ${args.join(" ")}\n${ended.stdout}${ended.stderr}`);
}

/** Judged here once more, from nothing but the printed hex. */
function verifiedResult(ended: ProgramResult): Result {
  assert.equal(ended.code, 0, ended.stderr);
  const result = JSON.parse(ended.stdout) as Result;
  assert.equal(result.signatures.length, 1);
  for (const { signature, hash, verified } of result.signatures) {
    const [rs, message, key] = [signature.slice(0, 128), hash, result.publicKey].map((hex) =>
      Buffer.from(hex, "hex"),
    );
    assert.ok(rs && message && key);
    assert.ok(verified && secp256k1.verify(rs, message, key, { prehash: false }));
  }
  return result;
}
