import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRouterError } from "../../../../src/domain/errors.ts";
import {
  createSessionQuota,
  type SessionQuota,
} from "../../../../src/domain/sessions/session-quota.ts";
import { retentionMs, type SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, refusal, startMs } from "./session-records.ts";

/** What an instance has heard of, and a clock. */
interface Setup {
  readonly quota: SessionQuota;
  readonly clock: { nowMs(): number; at: number };
  /** Hears of the record. */
  readonly hear: (record: SessionRecord) => void;
}

function setup(max: number, known: readonly SessionRecord[] = []): Setup {
  const listeners = new Set<(stored: { record: SessionRecord; revision: number }) => void>();
  const clock = { at: startMs, nowMs: (): number => clock.at };
  const quota = createSessionQuota({
    maxSessionsPerCoordinator: max,
    clock,
    sessions: {
      all: () => known.map((record) => ({ record, revision: 1 })),
      onChange(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
  });
  return {
    quota,
    clock,
    hear(record) {
      for (const listener of listeners) listener({ record, revision: 2 });
    },
  };
}

function session(sessionId: string, createdBy = "backend"): SessionRecord {
  return { ...aRecord(), sessionId, createdBy };
}

function ended(record: SessionRecord): SessionRecord {
  return { ...record, status: "failed", endedAt: startMs };
}

/** Creates as the coordinator does. */
function store({ quota, hear }: Setup, record: SessionRecord): Promise<void> {
  return quota.admit(record, async () => hear(record));
}

describe("the quota of live sessions", () => {
  it("refuses a coordinator that has as many as it may, and no other", async () => {
    const known = setup(2);
    await store(known, session("s1"));
    await store(known, session("s2"));
    await assert.rejects(
      store(known, session("s3")),
      (error) => isRouterError(error, "TOO_MANY_SESSIONS") && error.retryAfterMs === 1_000,
    );
    await store(known, session("s3", "__proto__"));
    known.hear(ended(session("s1")));
    await store(known, session("s4"));
    await assert.rejects(store(known, session("s5")), refusal("TOO_MANY_SESSIONS"));
  });

  it("counts what other instances created, also before this one started", async () => {
    const known = setup(2, [session("s1"), ended(session("s0")), session("s9", "another")]);
    known.hear(session("s2"));
    known.hear(session("s2"));
    await assert.rejects(store(known, session("s3")), refusal("TOO_MANY_SESSIONS"));
  });

  it("counts what is being stored, until that has failed or is known", async () => {
    const known = setup(2);
    const first = Promise.withResolvers<void>();
    const second = Promise.withResolvers<void>();
    const storing = [first, second].map(({ promise }, index) =>
      known.quota.admit(session(`s${index}`), () => promise),
    );
    await assert.rejects(store(known, session("s2")), refusal("TOO_MANY_SESSIONS"));
    first.reject(new Error("the store is away"));
    known.hear(session("s1"));
    second.resolve();
    await Promise.allSettled(storing);
    await store(known, session("s2"));
    await assert.rejects(store(known, session("s3")), refusal("TOO_MANY_SESSIONS"));
  });

  it("does not count what has expired, though nobody has said so", async () => {
    const known = setup(2, [session("s1"), { ...session("s2"), expiresAt: startMs + 70_000 }]);
    await assert.rejects(store(known, session("s3")), refusal("TOO_MANY_SESSIONS"));
    known.clock.at = startMs + 60_000;
    const later = { expiresAt: startMs + 90_000 };
    await store(known, { ...session("s3"), ...later });
    await assert.rejects(
      store(known, { ...session("s4"), ...later }),
      refusal("TOO_MANY_SESSIONS"),
    );
    known.clock.at = startMs + 70_000;
    await store(known, { ...session("s4"), ...later });
  });

  it("looks through what it counts once a second at most", async () => {
    const known = setup(1, [session("s1")]);
    known.clock.at = startMs + 59_500;
    await assert.rejects(store(known, session("s2")), refusal("TOO_MANY_SESSIONS"));
    known.clock.at = startMs + 60_499;
    await assert.rejects(store(known, session("s2")), refusal("TOO_MANY_SESSIONS"));
    known.clock.at = startMs + 60_500;
    await store(known, { ...session("s2"), expiresAt: startMs + 90_000 });
  });

  it("counts records of older routers, which name no coordinator, for nobody", async () => {
    const { createdBy, ...unnamed } = session("s1");
    void createdBy;
    const known = setup(1, [unnamed]);
    known.hear({ ...unnamed, sessionId: "s2" });
    await store(known, { ...unnamed, sessionId: "s3" });
    await store(known, session("s4"));
  });

  it("does not count what ended unnoticed, as when no router ran for a day", async () => {
    const old = { ...session("s1"), expiresAt: startMs - retentionMs };
    const known = setup(1, [old]);
    await store(known, session("s2"));
  });
});
