import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkedQuery,
  listSessions,
  type SessionQuery,
} from "../../../../src/domain/sessions/session-list.ts";
import { retentionMs, type SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, refusal, startMs } from "./session-records.ts";

const all: SessionQuery = { status: "", type: "", partyId: "", pageSize: 0, pageToken: "" };

function record(sessionId: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  return { ...aRecord(), sessionId, ...changes };
}

function aKept(sessionId: string): SessionRecord {
  return record(sessionId, { status: "completed", endedAt: startMs - 2 * retentionMs });
}

function idsOf(records: readonly SessionRecord[]): readonly string[] {
  return records.map(({ sessionId }) => sessionId);
}

/** Sessions of the store: those that answer calls, and those that are kept, in the order of their keeping. */
interface Stored {
  readonly recent?: readonly SessionRecord[];
  readonly kept?: readonly SessionRecord[];
  readonly pieceSize?: number;
}

type Listed = Parameters<typeof listSessions>[1];

function storeOf({ recent = [], kept = [], pieceSize = 3 }: Stored): Listed {
  const stored = new Map(recent.map((one) => [one.sessionId, { record: one, revision: 1 }]));
  return {
    all: () => stored.values(),
    cached: (sessionId) => stored.get(sessionId),
    catchUp: async () => undefined,
    async *keptBefore(place = Number.MAX_SAFE_INTEGER) {
      const before = Math.min(place, kept.length + 1);
      const found = kept
        .map((one, index) => ({ record: one, place: index + 1 }))
        .slice(0, before - 1)
        .toReversed();
      while (found.length > 0) yield found.splice(0, pieceSize);
    },
  };
}

/** Asks page after page. */
async function pagesOf(stored: Stored, query: SessionQuery): Promise<readonly string[][]> {
  const pages: string[][] = [];
  let pageToken = "";
  do {
    const checked = checkedQuery({ ...query, pageToken });
    const page = await listSessions(checked, storeOf(stored), startMs);
    pages.push([...idsOf(page.records)]);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return pages;
}

describe("listing sessions", () => {
  it("gives every session once, newest first, then the kept ones, over any pages", async () => {
    const times = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 20 });
    const numbers = {
      keptCount: fc.integer({ min: 0, max: 20 }),
      bothCount: fc.integer({ min: 0, max: 5 }),
      pieceSize: fc.integer({ min: 1, max: 5 }),
      pageSize: fc.integer({ min: 1, max: 7 }),
    };
    await fc.assert(
      fc.asyncProperty(fc.record({ times, ...numbers }), async ({ pageSize, ...made }) => {
        const recent = made.times.map((createdAt, index) => record(`s-${index}`, { createdAt }));
        const old = Array.from({ length: made.keptCount }, (_, index) => aKept(`k-${index}`));
        // One that was completed a moment ago is in both places.
        const kept = [...old, ...recent.slice(0, made.bothCount)];
        const pages = await pagesOf({ recent, kept, ...made }, { ...all, pageSize });
        const expected = recent.toSorted(
          (a, b) => b.createdAt - a.createdAt || (a.sessionId < b.sessionId ? 1 : -1),
        );
        assert.deepEqual(pages.flat(), idsOf([...expected, ...old.toReversed()]));
        for (const page of pages.slice(0, -1)) assert.equal(page.length, pageSize);
      }),
    );
  });

  it("lists a kept session whose own record is about to be forgotten", async () => {
    const kept = aKept("a");
    const recent = [{ ...kept, endedAt: startMs - retentionMs }];
    assert.deepEqual(await pagesOf({ recent, kept: [kept] }, all), [["a"]]);
  });

  it("filters by status, type and party", async () => {
    const recent = [
      record("a", { status: "failed" }),
      record("b", { type: "sign" }),
      record("c", { parties: [] }),
    ];
    const kept = [aKept("d"), { ...aKept("e"), parties: [] }];
    const pages = (query: Partial<SessionQuery>): Promise<readonly string[][]> =>
      pagesOf({ recent, kept }, { ...all, ...query });
    assert.deepEqual(await pages({ status: "failed" }), [["a"]]);
    assert.deepEqual(await pages({ status: "completed" }), [["e", "d"]]);
    assert.deepEqual(await pages({ type: "sign" }), [["b"]]);
    assert.deepEqual(await pages({ type: "keygen" }), [["c", "a", "e", "d"]]);
    assert.deepEqual(await pages({ partyId: "p1" }), [["b", "a", "d"]]);
    assert.deepEqual(await pages({ partyId: "nobody" }), [[]]);
  });

  it("looks at 5,000 kept sessions at most in one call, and goes on from there", async () => {
    const others = Array.from({ length: 12_000 }, (_, index) => ({
      ...aKept(`k-${index}`),
      parties: [],
    }));
    const kept = [aKept("first"), ...others];
    const pages = await pagesOf({ kept, pieceSize: 512 }, { ...all, partyId: "p1" });
    assert.deepEqual(pages, [[], [], ["first"]]);
  });

  it("has 50 to a page unless told otherwise", async () => {
    const recent = Array.from({ length: 51 }, (_, index) => record(`s-${index}`));
    const pages = await pagesOf({ recent }, all);
    assert.deepEqual(
      pages.map((page) => page.length),
      [50, 1],
    );
  });

  it("refuses what is no filter, size or token", () => {
    const bad: readonly Partial<SessionQuery>[] = [
      { status: "running" },
      { type: "resharing" },
      { pageSize: -1 },
      { pageSize: 501 },
      { pageToken: "???" },
      { pageToken: Buffer.from("12.a b").toString("base64url") },
      { pageToken: Buffer.from("x.a").toString("base64url") },
      { pageToken: Buffer.from("1.a.b").toString("base64url") },
      { pageToken: Buffer.from("kept.x").toString("base64url") },
      { pageToken: Buffer.from("kept.1.2").toString("base64url") },
    ];
    for (const query of bad) {
      assert.throws(() => checkedQuery({ ...all, ...query }), refusal("INVALID_FIELD"));
    }
    assert.throws(() => checkedQuery({ ...all, partyId: "a.b" }), refusal("INVALID_ID"));
  });
});
