import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { StoredEvent } from "../../../../src/domain/events/event-ports.ts";
import { EventQueue } from "../../../../src/domain/events/event-queue.ts";

function stored(sequence: number): StoredEvent {
  return { sequence, contentHash: "", event: {} as StoredEvent["event"] };
}

const never = new AbortController().signal;

async function next(queue: EventQueue): Promise<number | string | undefined> {
  const given = await queue.next(never);
  return typeof given === "object" ? given.sequence : given;
}

describe("event queue", () => {
  it("gives events in order, those included that come while it is waited for", async () => {
    const queue = new EventQueue(10);
    queue.push(stored(1));
    queue.push(stored(2));
    assert.equal(await next(queue), 1);
    assert.equal(await next(queue), 2);
    const waiting = next(queue);
    queue.push(stored(3));
    assert.equal(await waiting, 3);
  });

  it("gives what it holds when full, then says that events were missed until it is resumed", async () => {
    const queue = new EventQueue(2);
    for (const sequence of [1, 2, 3, 4]) queue.push(stored(sequence));
    assert.deepEqual([await next(queue), await next(queue)], [1, 2]);
    queue.push(stored(5));
    assert.deepEqual([await next(queue), await next(queue)], ["missed", "missed"]);
    queue.resume();
    queue.push(stored(6));
    assert.equal(await next(queue), 6);
  });

  it("wakes a reader that waits when it is over", async () => {
    const queue = new EventQueue(2);
    const stopping = new AbortController();
    const waiting = queue.next(stopping.signal);
    stopping.abort();
    assert.equal(await waiting, undefined);
    queue.push(stored(1));
    assert.equal(await queue.next(stopping.signal), undefined);
  });
});
