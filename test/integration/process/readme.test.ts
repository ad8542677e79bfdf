import assert from "node:assert/strict";
import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runProgram } from "../../interop/program.ts";
import { startRouter } from "../../support/router.ts";

const root = join(import.meta.dirname, "../../..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const blocks = [...readme.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, block = ""]) => block.trim());

/** Those that a fresh clone is tried with, or that have a test of their own. */
const isTriedElsewhere = (block: string): boolean =>
  /^npm (ci && npm (start|test)|run \w+)$/.test(block);

describe("the README", () => {
  it("starts and tests the router with one command each", () => {
    assert.ok(blocks.includes("npm ci && npm start"));
    assert.ok(blocks.includes("npm ci && npm test"));
  });

  it("has commands that a shell takes, and that are all tried by tests", async () => {
    for (const block of blocks) {
      const checked = await runProgram("bash", ["-n", "-c", block], { timeoutMs: 5_000 });
      assert.equal(checked.code, 0, `${block}\n${checked.stderr}`);
    }
    const others = blocks.filter((block) => !isTriedElsewhere(block));
    assert.deepEqual(
      others.map((block) => block.split(/\s/)[0]),
      ["curl", "examples/curl/all-rpcs.sh"],
    );
  });

  it("has a curl example that registers a party", async () => {
    await using router = await startRouter();
    const example = blocks.find((block) => block.startsWith("curl ")) ?? "";
    assert.ok(example.includes("http://127.0.0.1:8080/"), "it goes to the default address");
    const here = example.replace("http://127.0.0.1:8080", router.url);
    const called = await runProgram("bash", ["-c", `${here} -sS`], { timeoutMs: 10_000 });
    assert.equal(called.code, 0, called.stderr);
    assert.match(called.stdout, /^\{"success":true,/);
  });

  it("names a script that can be run as it stands", () => {
    accessSync(join(root, "examples/curl/all-rpcs.sh"), constants.X_OK);
  });
});
