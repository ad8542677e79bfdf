import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connectNats } from "../../../src/nats/connection.ts";
import { announceInstance, type InstanceLife } from "../../../src/nats/instance.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { silentLogger as logger } from "../../../src/telemetry/logger.ts";
import { startNatsServer } from "../../support/nats-server.ts";

const clock = { nowMs: (): number => Date.now() };

describe("an instance", () => {
  it("knows whether others live, until the last of them stops, and of none while the broker is away", async () => {
    await using server = await startNatsServer();
    const { url } = server;
    await using nats = await connectNats({
      url,
      name: "test",
      connectTimeoutMs: 5_000,
      logger,
      clock,
    });
    await provision(nats);
    const announce = (id: string): Promise<InstanceLife> => announceInstance(nats, { id, logger });
    await using first = await announce("first");
    assert.equal(await first.hasOthers(), false);
    const second = await announce("second");
    assert.deepEqual([await first.hasOthers(), await second.hasOthers()], [true, true]);
    await second[Symbol.asyncDispose]();
    assert.equal(await first.hasOthers(), false);
    await using third = await announce("third");
    assert.equal(await first.hasOthers(), true);
    await server.kill("SIGKILL");
    assert.equal(await third.hasOthers(), false);
  });
});
