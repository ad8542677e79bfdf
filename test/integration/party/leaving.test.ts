import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { startFleet } from "../../support/fleet.ts";
import { orderSession, partyProtocols } from "../../support/parties.ts";
import { until } from "../../support/until.ts";

const program = fileURLToPath(new URL("./leaving-party.ts", import.meta.url));
const limitMs = 10_000;

/** Runs a party process that leaves in the middle of everything; resolves with what it printed then. */
async function leave(
  args: readonly string[],
  before: () => Promise<void> = async () => undefined,
): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], { stdio: "pipe" });
  const killer = setTimeout(() => child.kill("SIGKILL"), limitMs);
  let printed = "";
  child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const closed = once(child, "close");
  await until("the party is in the session", () => printed.includes("here"));
  await before();
  printed = "";
  child.stdin.end("leave");
  const [code, signal] = (await closed) as [number | null, string | null];
  clearTimeout(killer);
  assert.deepEqual([code, signal], [0, null], printed);
  return printed;
}

describe("a party that was closed", () => {
  for (const protocol of partyProtocols) {
    it(`leaves no timer, stream or listener over ${protocol}: its process ends by itself`, async () => {
      await using fleet = await startFleet("Connect JSON");
      const [url = ""] = fleet.urls;
      await orderSession(url, [{ partyId: "alice" }, { partyId: "bob" }]);
      const printed = await leave([url, protocol]);
      assert.match(printed, /^closed after \d+ ms, left: \[\]\n$/);
    });
  }

  it("does not wait for a router that is away", async () => {
    const fleet = await startFleet("Connect JSON");
    const [url = ""] = fleet.urls;
    await orderSession(url, [{ partyId: "alice" }, { partyId: "bob" }]);
    const printed = await leave([url, "Connect"], async () => fleet[Symbol.asyncDispose]());
    const [, elapsedMs] = /^closed after (\d+) ms/.exec(printed) ?? [];
    assert.ok(Number(elapsedMs) < 3_000, printed);
  });
});
