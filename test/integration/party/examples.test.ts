import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { runProgram } from "../../interop/program.ts";
import { startFleet } from "../../support/fleet.ts";

function pathOf(name: string): string {
  return fileURLToPath(new URL(`../../../examples/party/${name}`, import.meta.url));
}

async function runExample(name: string, url: string): Promise<string> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [pathOf(name), url], {
    timeoutMs: 30_000,
  });
  assert.equal(code, 0, stderr);
  return stdout;
}

describe("the examples of the party SDK", () => {
  it("relay a first message, in 15 lines, and again while the first session lives", async () => {
    await using fleet = await startFleet("Connect JSON");
    const [url = ""] = fleet.urls;
    assert.equal(await runExample("hello.ts", url), "alice: Hello, Bob.\n");
    assert.equal(await runExample("hello.ts", url), "alice: Hello, Bob.\n");
    const lines = readFileSync(pathOf("hello.ts"), "utf8").split("\n");
    assert.ok(lines.filter((line) => line.trim() !== "").length <= 15);
  });

  it("toss a coin through a sealed channel", async () => {
    await using fleet = await startFleet("Connect JSON");
    const [url = ""] = fleet.urls;
    const printed = await runExample("sealed.ts", url);
    const results = [...printed.matchAll(/completed, all agree on ([0-9a-f]{64})$/gm)];
    assert.equal(results.length, 3, printed);
    assert.equal(new Set(results.map(([, sum]) => sum)).size, 1);
  });
});
