import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  checkedQuery,
  createPageCollector,
  mayBeKept,
  type SessionQuery,
} from "../../../../src/domain/sessions/session-list.ts";
import type { SessionRecord } from "../../../../src/domain/sessions/session.ts";
import { aRecord, refusal } from "./session-records.ts";

const all: SessionQuery = { status: "", type: "", partyId: "", pageSize: 0, pageToken: "" };

function record(sessionId: string, changes: Partial<SessionRecord> = {}): SessionRecord {
  return { ...aRecord(), sessionId, ...changes };
}

function idsOf(records: readonly SessionRecord[]): readonly string[] {
  return records.map(({ sessionId }) => sessionId);
}

/** Asks page after page. */
function pagesOf(records: readonly SessionRecord[], query: SessionQuery): readonly string[][] {
  const pages: string[][] = [];
  let pageToken = "";
  do {
    const collector = createPageCollector(checkedQuery({ ...query, pageToken }));
    for (const one of records) collector.add(one);
    const page = collector.page();
    pages.push([...idsOf(page.records)]);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return pages;
}

describe("listing sessions", () => {
  it("gives every session once, newest first, over any pages", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        (times, pageSize) => {
          const records = times.map((createdAt, index) => record(`s-${index}`, { createdAt }));
          const pages = pagesOf(records, { ...all, pageSize });
          const expected = records.toSorted(
            (a, b) => b.createdAt - a.createdAt || (a.sessionId < b.sessionId ? 1 : -1),
          );
          assert.deepEqual(pages.flat(), idsOf(expected));
          for (const page of pages.slice(0, -1)) assert.equal(page.length, pageSize);
        },
      ),
    );
  });

  it("filters by status, type and party", () => {
    const records = [
      record("a", { status: "failed" }),
      record("b", { type: "sign" }),
      record("c", { parties: [] }),
    ];
    assert.deepEqual(pagesOf(records, { ...all, status: "failed" }), [["a"]]);
    assert.deepEqual(pagesOf(records, { ...all, type: "sign" }), [["b"]]);
    assert.deepEqual(pagesOf(records, { ...all, partyId: "p1" }), [["b", "a"]]);
    assert.deepEqual(pagesOf(records, { ...all, partyId: "nobody" }), [[]]);
  });

  it("has 50 to a page unless told otherwise", () => {
    const records = Array.from({ length: 51 }, (_, index) => record(`s-${index}`));
    assert.deepEqual(
      pagesOf(records, all).map((page) => page.length),
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
    ];
    for (const query of bad) {
      assert.throws(() => checkedQuery({ ...all, ...query }), refusal("INVALID_FIELD"));
    }
    assert.throws(() => checkedQuery({ ...all, partyId: "a.b" }), refusal("INVALID_ID"));
  });

  it("looks at kept keygen sessions only where one could match", () => {
    assert.equal(mayBeKept(checkedQuery(all)), true);
    assert.equal(mayBeKept(checkedQuery({ ...all, type: "keygen", status: "completed" })), true);
    assert.equal(mayBeKept(checkedQuery({ ...all, type: "sign" })), false);
    assert.equal(mayBeKept(checkedQuery({ ...all, status: "failed" })), false);
  });
});
