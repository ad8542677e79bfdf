import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isPartyError } from "../../../src/party/index.ts";
import { closedError, PartyError } from "../../../src/party/party-error.ts";
import { SessionWatch } from "../../../src/party/session-watch.ts";
import { Code } from "@connectrpc/connect";
import { until } from "../../support/until.ts";

function setup(options: { readonly status?: string; readonly isFlowing?: boolean } = {}) {
  const stop = new AbortController();
  let asked = 0;
  let status = options.status ?? "created";
  const watch = new SessionWatch({
    sessionId: "session",
    ask: async () => {
      asked++;
      return status;
    },
    isFlowing: () => options.isFlowing ?? false,
    signal: stop.signal,
  });
  const { signal } = new AbortController();
  return { watch, stop, signal, asked: () => asked, become: (next: string) => (status = next) };
}

describe("what is known of a session", () => {
  it("moves forward only", async () => {
    const { watch } = setup();
    watch.note("in_progress");
    watch.note("created");
    assert.equal(watch.status, "in_progress");
    watch.note("completed");
    watch.note("failed");
    watch.note("in_progress");
    assert.equal(watch.status, "completed");
    assert.deepEqual(await watch.ended, { status: "completed" });
  });

  it("comes from events", async () => {
    const { watch, signal, asked } = setup({ isFlowing: true });
    const started = watch.started(signal);
    watch.hear("party_joined");
    watch.hear("session_started");
    await started;
    watch.hear("session_expired");
    assert.deepEqual(await watch.ended, { status: "expired" });
    assert.equal(asked(), 0);
  });

  it("is asked for where no events come in", async () => {
    const { watch, signal, asked, become } = setup();
    const started = watch.started(signal);
    await until("it was asked", () => asked() === 1);
    become("in_progress");
    await started;
    assert.equal(watch.missedEvents, 0);
    watch.expect("completed");
    become("completed");
    assert.deepEqual(await watch.ended, { status: "completed" });
  });

  it("is asked for when the event does not come in time, which is counted", async () => {
    const { watch, signal, become } = setup({ isFlowing: true });
    become("in_progress");
    await watch.started(signal);
    assert.equal(watch.missedEvents, 1);
  });

  it("comes from refusals", async () => {
    const { watch, signal } = setup();
    const refusal = new PartyError("SESSION_EXPIRED", "over", { code: Code.FailedPrecondition });
    const starting = watch.started(signal);
    assert.equal(watch.noteRefusal(new Error("another")), false);
    assert.equal(watch.noteRefusal(refusal), true);
    await assert.rejects(starting, (error) => isPartyError(error, "SESSION_EXPIRED"));
    assert.ok(isPartyError(watch.ending.reason, "SESSION_EXPIRED"));
  });

  it("is of no interest any more once the session is closed here", async () => {
    const { watch, stop, signal, asked } = setup();
    const waits = Promise.allSettled([
      watch.ended,
      watch.started(AbortSignal.any([signal, stop.signal])),
    ]);
    stop.abort(closedError("the session"));
    for (const wait of await waits) {
      assert.ok(wait.status === "rejected" && isPartyError(wait.reason, "CLOSED"));
    }
    await watch.stopped();
    assert.equal(asked(), 0);
  });
});
