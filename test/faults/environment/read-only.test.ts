import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { mountTmpfs } from "../../support/tmpfs.ts";
import { until } from "../../support/until.ts";
import { clientsOf } from "../../integration/process/clients.ts";
import { startRefused } from "../../integration/process/refusals.ts";
import { startLocalRouter } from "./local-router.ts";
import { assertHonest, isRefusedForNow, openScene } from "./scene.ts";

const sizeBytes = 64 * 1_048_576;

describe("a disk that turns read-only", { concurrency: true }, () => {
  it("makes calls unavailable, and costs nothing once it can be written", async (t) => {
    // The lock of the data directory stays open, so only the store below it is on the disk.
    const dataDir = await mkdtemp(join(tmpdir(), "mpc-router-data-"));
    await using resources = new AsyncDisposableStack();
    resources.defer(() => rm(dataDir, { recursive: true, force: true }));
    await mkdir(join(dataDir, "store"));
    const disk = resources.use(mountTmpfs(sizeBytes, join(dataDir, "store")));
    const router = resources.use(await startLocalRouter(dataDir));
    const scene = await openScene(clientsOf(router.url));
    await scene.routed();
    // A disk with files open for writing cannot be remounted. This process does nothing else before it is.
    process.kill(await router.natsPid(), "SIGKILL");
    while (!isRemounted(() => disk.remount("ro")));
    const outcomes = await Promise.all([scene.route(), scene.route(), scene.route()]);
    for (const outcome of outcomes) {
      assertHonest("RouteMessage", outcome);
      assert.ok(isRefusedForNow(outcome));
    }
    await until("it says so", async () => !(await router.isReady()));
    await until("the log says why", () => router.log().includes("EROFS"));

    disk.remount("rw");
    const writableAt = performance.now();
    await scene.routed();
    const gapMs = Math.round(performance.now() - writableAt);
    t.diagnostic(`writable again: a message accepted after ${gapMs} ms`);
    await scene.assertKept();
  });

  it("refuses a start in one clear line", async () => {
    await using disk = mountTmpfs(sizeBytes);
    const dataDir = `${disk.path}/data`;
    await mkdir(dataDir);
    disk.remount("ro");
    const refused = await startRefused([`--data-dir=${dataDir}`]);
    assert.equal(refused.code, 1);
    assert.match(refused.message, /^[^\n]*data directory[^\n]*: it cannot be written \(EROFS\)$/);
  });

  it("refuses a start on one without space in one clear line", async () => {
    await using disk = mountTmpfs(sizeBytes);
    await disk.fill(1_048_576);
    const refused = await startRefused([`--data-dir=${disk.path}/data`]);
    assert.equal(refused.code, 1);
    assert.match(
      refused.message,
      /^[^\n]*data directory[^\n]*: \d+ bytes are free, \d+ are needed$/,
    );
  });
});

function isRemounted(remount: () => void): boolean {
  try {
    remount();
    return true;
  } catch {
    // Still busy.
    return false;
  }
}
