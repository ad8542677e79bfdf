import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { violationsOf, type RuleName } from "../../faults/audit/checker.ts";
import type { Entry } from "../../faults/audit/record.ts";
import {
  acknowledgement,
  delivery,
  fault,
  goodRecord,
  poll,
  route,
  session,
  status,
  stream,
} from "./record-builder.ts";

function finds(rule: RuleName, entries: readonly Entry[]): void {
  const found = violationsOf(entries);
  assert.deepEqual(
    found.map((violation) => violation.rule),
    [rule],
    JSON.stringify(found),
  );
}

function findsNothing(entries: readonly Entry[]): void {
  assert.deepEqual(violationsOf(entries), []);
}

/** The good record with more in it. */
const andThen = (...more: readonly Entry[]): readonly Entry[] => [...goodRecord(), ...more];

const unknown = { outcome: "unknown" } as const;

describe("the audit", () => {
  it("finds nothing against a good record", () => {
    findsNothing(goodRecord());
  });

  it("finds nothing against an empty record", () => {
    findsNothing([]);
  });

  it("finds an accepted message that never came", () => {
    finds("lost", andThen(route("m3", 300)));
  });

  it("finds a message that came to one recipient of two", () => {
    finds("lost", andThen(route("m3", 300, { to: ["b", "c"] }), delivery("m3", 320)));
  });

  it("asks nothing of a message whose outcome is unknown", () => {
    findsNothing(andThen(route("m3", 300, { end: unknown, messageId: "" })));
  });

  it("finds a stream that is open and silent while a message waits", () => {
    const calledMs = 20_000;
    const late = [route("m3", 300), delivery("m3", 20_010, { way: "poll", calledMs })];
    finds("silent", andThen(stream(0, 30_000), ...late));
    findsNothing(andThen(stream(0, 10_000), ...late));
  });

  it("does not count the time of a pause as silence", () => {
    const late = [route("m3", 300), delivery("m3", 25_000)];
    const paused = fault("router paused", 1_000, { endMs: 21_000 });
    findsNothing(andThen(stream(0, 30_000), ...late, paused));
    finds("silent", andThen(stream(0, 30_000), ...late));
  });
});

describe("the audit of what is settled", () => {
  it("finds it in a poll that was called later", () => {
    finds("delivered again", andThen(delivery("m1", 400, { way: "poll", calledMs: 390 })));
  });

  it("finds it on a stream that was called later", () => {
    finds("delivered again", andThen(stream(390, 500), delivery("m1", 400, { calledMs: 390 })));
  });

  it("finds it on a stream of before when it cannot have been on its way any more", () => {
    finds("delivered again", andThen(delivery("m1", 1_200)));
    findsNothing(andThen(delivery("m1", 400)));
  });

  it("lets through a poll that was under way", () => {
    findsNothing(andThen(delivery("m1", 400, { way: "poll", calledMs: 135 })));
  });

  it("lets through what a pause held up", () => {
    const paused = fault("router paused", 130, { endMs: 5_000 });
    findsNothing(andThen(delivery("m1", 5_100), paused));
    finds("delivered again", andThen(delivery("m1", 7_000), paused));
  });

  it("excuses the last 100 ms before an unreplicated broker was killed", () => {
    const again = delivery("m1", 400, { calledMs: 390 });
    const killed = fault("broker killed", 240, { losesNewest: true });
    const withoutStatus = andThen(again, killed).filter(({ kind }) => kind !== "status");
    findsNothing(withoutStatus);
  });

  it("excuses nothing older than that, and nothing where the broker is replicated", () => {
    const again = delivery("m1", 600, { calledMs: 590 });
    finds("delivered again", andThen(again, fault("broker killed", 260, { losesNewest: true })));
    finds("delivered again", andThen(again, fault("leader killed", 160)));
  });

  it("counts a message that was said to have failed", () => {
    finds("delivered again", [
      stream(0, 1_000),
      route("m3", 300),
      delivery("m3", 320),
      acknowledgement("m3", 330, { verdict: "permanent" }),
      status("m3", 340, { b: "failed" }),
      delivery("m3", 400, { way: "poll", calledMs: 390 }),
    ]);
  });

  it("does not count an acknowledgement whose outcome is unknown", () => {
    findsNothing([
      stream(0, 1_000),
      route("m3", 300),
      delivery("m3", 320),
      acknowledgement("m3", 330, { end: unknown }),
      delivery("m3", 400, { way: "poll", calledMs: 390 }),
    ]);
  });
});

describe("the audit of order", () => {
  const inTurn = [route("m3", 300), route("m4", 310)] as const;

  it("finds a message that overtook one that was accepted before it was sent", () => {
    finds("out of order", andThen(...inTurn, delivery("m4", 330), delivery("m3", 340)));
  });

  it("finds it in one answer of a poll", () => {
    const way = { way: "poll", calledMs: 320 } as const;
    finds("out of order", andThen(...inTurn, delivery("m4", 330, way), delivery("m3", 330, way)));
  });

  it("asks no order of calls that overlap, nor of what comes again", () => {
    const overlapping = [route("m3", 300), route("m4", 302)];
    findsNothing(andThen(...overlapping, delivery("m4", 330), delivery("m3", 340)));
    const again = [delivery("m3", 320), delivery("m4", 330), delivery("m3", 340)];
    findsNothing(andThen(...inTurn, ...again));
  });

  it("takes a message as accepted when its retry was, and as sent when it was tried first", () => {
    const cut = route("m3", 300, { end: unknown, messageId: "" });
    const retried = [cut, route("m4", 310), route("m3", 320)];
    findsNothing(andThen(...retried, delivery("m4", 330), delivery("m3", 340)));
  });
});

describe("the audit of content", () => {
  it("finds a retry that was given another id", () => {
    const hash = "content of m1";
    finds("sent twice", andThen(route("m9", 300, { hash })));
  });

  it("finds a content that came under two ids", () => {
    finds("sent twice", andThen(delivery("m9", 300, { hash: "content of m1" })));
  });

  it("finds mail in the hands of another party, and in another session", () => {
    finds("leaked", andThen(delivery("m1", 135, { party: "c" })));
    finds("leaked", andThen(delivery("m1", 135, { sessionId: "t" })));
  });

  it("finds a content that nobody sent", () => {
    finds("altered", andThen(delivery("m9", 300)));
  });

  it("finds a sender that is not the sender", () => {
    finds("altered", andThen(delivery("m1", 135, { from: "c" })));
  });

  it("finds one id with two contents", () => {
    const found = violationsOf(andThen(delivery("m1", 135, { hash: "content of m2" })));
    assert.ok(found.some(({ rule }) => rule === "altered"));
  });
});

/** A message that is said to have failed after so many refusals. */
const failedAfter = (count: number): Entry[] => [
  stream(0, 1_000),
  route("m3", 300),
  delivery("m3", 320),
  ...Array.from({ length: count }, (_, index) =>
    acknowledgement("m3", 330 + index * 10, { verdict: "refused" }),
  ),
  status("m3", 400, { b: "failed" }),
];

describe("the audit of statuses", () => {
  it("finds an acknowledgement that nobody gave", () => {
    finds(
      "overclaimed",
      goodRecord().filter(({ kind }) => kind !== "acknowledgement"),
    );
  });

  it("finds an acknowledgement before it was given", () => {
    const early = [stream(0, 1_000), route("m3", 300), status("m3", 320, { b: "acknowledged" })];
    finds("overclaimed", [...early, acknowledgement("m3", 330), delivery("m3", 315)]);
  });

  it("finds a failure after too few refusals", () => {
    finds("overclaimed", failedAfter(4));
    findsNothing(failedAfter(5));
  });

  it("finds a delivery to somebody who never asked", () => {
    const sent = [route("m3", 300), status("m3", 320, { b: "delivered" })];
    const later = [poll(400), delivery("m3", 402, { way: "poll", calledMs: 400 })];
    finds("overclaimed", [...sent, ...later]);
    findsNothing([stream(0, 310), ...sent, ...later]);
  });

  it("finds a sum that its rows do not give", () => {
    const reading = { ...status("m1", 300, { b: "acknowledged" }), allAcknowledged: false };
    finds("overclaimed", andThen(reading));
  });

  it("finds a status that is none", () => {
    const strange = [stream(0, 1_000), route("m3", 300), delivery("m3", 320)];
    finds("overclaimed", [...strange, status("m3", 340, { b: "on fire" })]);
  });

  it("finds one that fell behind an answered acknowledgement", () => {
    finds("taken back", andThen(status("m2", 300, { b: "delivered" })));
  });

  it("finds one that fell behind an earlier one", () => {
    const sent = [stream(0, 1_000), route("m3", 300), delivery("m3", 320)];
    const fallen = [status("m3", 330, { b: "delivered" }), status("m3", 340, { b: "pending" })];
    finds("taken back", [...sent, ...fallen]);
  });

  it("excuses what an unreplicated broker may have forgotten", () => {
    const killed = fault("broker killed", 300, { losesNewest: true });
    findsNothing(andThen(killed, status("m2", 400, { b: "delivered" })));
    finds("taken back", andThen(killed, status("m1", 400, { b: "delivered" })));
  });
});

describe("the audit of sessions and calls", () => {
  it("finds a session that has not ended", () => {
    const found = violationsOf([session("in_progress")]);
    assert.ok(found.length > 0 && found.every(({ rule }) => rule === "not ended"));
  });

  it("finds an end without an event, with two, and with the wrong one", () => {
    finds("not ended", [session("expired")]);
    finds("not ended", [session("failed", "h-session_failed-cancelled", "h-session_failed-other")]);
    finds("not ended", [session("completed", "h-session_expired")]);
  });

  it("finds a good call that was refused", () => {
    const end = { outcome: "refused", reason: "NOT_FOUND" } as const;
    finds("refused", andThen(acknowledgement("m2", 300, { end })));
  });
});
