import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runProgram } from "../../interop/program.ts";
import { startRouter } from "../../support/router.ts";
import { openSession } from "../../support/sessions.ts";
import { clientsOf, probe } from "./clients.ts";
import { mainPath } from "./processes.ts";

async function start(cache: string): Promise<void> {
  const said = await runProgram(process.execPath, [mainPath, "--version"], {
    env: { NODE_COMPILE_CACHE: "", XDG_CACHE_HOME: cache },
    timeoutMs: 10_000,
  });
  assert.deepEqual([said.code, said.stderr], [0, ""]);
}

describe("the router's start", () => {
  it("names the address, the store, and three things to try, of which curl works as printed", async () => {
    await using router = await startRouter();
    const lines = router.output().split("\n");
    const ready = lines.findIndex((line) => line.includes(" is ready on "));
    const said = lines.slice(ready).join("\n");
    assert.match(said, new RegExp(`^mpc-router [\\d.]+ is ready on ${router.url} `));
    assert.ok(said.includes(`synced writes, data in ${router.dataDir}`), said);
    assert.match(said, /note: no authentication/);
    const [, tries = ""] = said.split("\ntry:\n");
    const [curl = "", grpcurl = "", browser = "", ...rest] = tries.trim().split(/\n */);
    assert.deepEqual(rest, []);

    const called = await runProgram("bash", ["-c", `${curl} -sS`], { timeoutMs: 10_000 });
    assert.equal(called.code, 0, called.stderr);
    const answer = JSON.parse(called.stdout) as { success: boolean; registeredAt: string };
    assert.equal(answer.success, true);
    assert.ok(Number(answer.registeredAt) > 0);
    const { parties } = await clientsOf(router.url).router.getRegisteredParties({});
    assert.deepEqual(
      parties.map(({ partyId }) => partyId),
      ["alice"],
    );
    assert.equal(grpcurl, `grpcurl -plaintext ${router.host}:${router.port} list`);
    assert.equal(browser, `a browser at ${router.url}/`);
    assert.equal((await probe(router.url, "/"))[0], 200);
  });

  it("on the same data directory has what was there, and tells how long it took", async (test) => {
    await using router = await startRouter();
    const before = clientsOf(router.url);
    const { sessionId } = await openSession(before, { ready: true });
    assert.equal(await router.kill("SIGTERM"), 0);
    const startedAt = performance.now();
    await router.restart();
    test.diagnostic(`ready again after ${Math.round(performance.now() - startedAt)} ms`);
    assert.deepEqual(await probe(router.url, "/readyz"), [200, "ready\n"]);
    const { session } = await clientsOf(router.url).coordinator.getSession({ sessionId });
    assert.equal(session?.status, "in_progress");
  });

  it("keeps what Node has compiled for the next one, where there is a place for it", async () => {
    const cache = await mkdtemp(join(tmpdir(), "mpc-router-cache-"));
    try {
      await start(cache);
      const kept = await readdir(join(cache, "mpc-router/compiled"), { recursive: true });
      assert.ok(kept.length > 100, `${kept.length} files`);
      await start(cache);
      await start("/dev/null/nowhere");
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
  });

  for (const flag of ["--help", "-h", "--version"]) {
    it(`says what ${flag} asks for, whatever else is wrong, and ends well`, async () => {
      const args = [mainPath, "--bogus", flag];
      const said = await runProgram(process.execPath, args, { timeoutMs: 10_000 });
      assert.equal(said.code, 0);
      assert.equal(said.stderr, "");
      assert.match(said.stdout, flag === "--version" ? /^\d+\.\d+\.\d+\n$/ : /--allowed-origins/);
    });
  }
});
