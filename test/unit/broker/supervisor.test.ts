import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { NatsExit, NatsProcess } from "../../../src/broker/nats-process.ts";
import { superviseNats } from "../../../src/broker/supervisor.ts";
import { silentLogger } from "../../../src/telemetry/logger.ts";

interface FakeProcess extends NatsProcess {
  die(): void;
  isRunning(): boolean;
}

const health = async (): Promise<undefined> => undefined;
const fill = (): Promise<never> => Promise.reject(new Error("it tells nobody"));

function fakeProcess(pid: number): FakeProcess {
  const { promise: exited, resolve } = Promise.withResolvers<NatsExit>();
  let running = true;
  const die = (): void => {
    running = false;
    resolve({ code: null, signal: "SIGKILL" });
  };
  const stop = (): Promise<NatsExit> => {
    die();
    return exited;
  };
  return { pid, port: 1, exited, kill: die, stop, health, fill, die, isRunning: () => running };
}

/** A supervisor of fake processes under a clock that the test turns. */
function setup() {
  const processes = [fakeProcess(1)];
  const state = { failing: false, tries: 0, nowMs: 0, startable: Promise.resolve() };
  const pauses: number[] = [];
  let resume = Promise.withResolvers<void>();
  const start = async (): Promise<NatsProcess> => {
    state.tries += 1;
    if (state.failing) throw new Error("the port is taken");
    await state.startable;
    const next = fakeProcess(processes.length + 1);
    processes.push(next);
    return next;
  };
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    pauses.push(ms);
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
    await Promise.race([resume.promise, aborted]);
    resume = Promise.withResolvers();
  };
  const [first = assert.fail()] = processes;
  const timing = { nowMs: () => state.nowMs, pause };
  const supervisor = superviseNats({ first, start, logger: silentLogger, timing });
  /** Lets the pause end that the supervisor is in, or comes to. */
  const endPause = async (): Promise<void> => {
    await turn();
    resume.resolve();
    await turn();
  };
  return {
    supervisor,
    processes,
    pauses,
    state,
    endPause,
    die: () => processes.at(-1)?.die(),
    [Symbol.asyncDispose]: () => supervisor[Symbol.asyncDispose](),
  };
}

describe("the supervisor", () => {
  it("starts the next at once, the first time", async () => {
    await using fixture = setup();
    fixture.die();
    await fixture.endPause();
    assert.deepEqual(fixture.pauses, [0]);
    assert.equal(fixture.supervisor.current().pid, 2);
  });

  it("pauses longer and longer for one that keeps dying", async () => {
    await using fixture = setup();
    for (let deaths = 0; deaths < 9; deaths += 1) {
      fixture.die();
      await fixture.endPause();
    }
    assert.deepEqual(fixture.pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    assert.equal(fixture.supervisor.current().pid, 10);
  });

  it("starts at once again after one that was up for a while", async () => {
    await using fixture = setup();
    for (const upMs of [0, 0, 10_000, 10_001, 0]) {
      fixture.state.nowMs += upMs;
      fixture.die();
      await fixture.endPause();
    }
    assert.deepEqual(fixture.pauses, [0, 100, 200, 0, 100]);
  });

  it("goes on trying while none starts", async () => {
    await using fixture = setup();
    fixture.state.failing = true;
    fixture.die();
    for (let tries = 0; tries < 4; tries += 1) await fixture.endPause();
    assert.equal(fixture.state.tries, 4);
    fixture.state.failing = false;
    await fixture.endPause();
    assert.equal(fixture.supervisor.current().pid, 2);
    assert.deepEqual(fixture.pauses, [0, 100, 200, 400, 800]);
  });

  it("ends the running one and starts no more when it is disposed, also twice", async () => {
    const { supervisor, processes, state, pauses } = setup();
    await Promise.all([supervisor[Symbol.asyncDispose](), supervisor[Symbol.asyncDispose]()]);
    await turn();
    assert.equal(processes[0]?.isRunning(), false);
    assert.deepEqual([state.tries, pauses.length], [0, 0]);
  });

  it("ends while it pauses", async () => {
    const { supervisor, die, state } = setup();
    die();
    await turn();
    await supervisor[Symbol.asyncDispose]();
    assert.equal(state.tries, 0);
  });

  it("leaves none behind that becomes ready while it ends", async () => {
    const { supervisor, state, die, endPause, processes } = setup();
    const { promise, resolve } = Promise.withResolvers<void>();
    state.startable = promise;
    die();
    await endPause();
    const disposed = supervisor[Symbol.asyncDispose]();
    resolve();
    await disposed;
    assert.deepEqual(
      processes.map((process) => process.isRunning()),
      [false, false],
    );
  });
});
