import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JetStreamStatusError } from "@nats-io/jetstream/internal";
import type { Nats } from "../../../src/nats/connection.ts";
import { allMessages, freshMessages } from "../../../src/nats/sure-reading.ts";

interface Query {
  readonly seq?: number;
  readonly callback: (done: { readonly err?: Error } | null, message: unknown) => void;
}

const subjectOf = (seq: number): string => `a.${seq}`;

/** A cluster whose leader has messages 1 to `count`, and whose replica has `lag` fewer, one more with each read. */
function laggingCluster({ count, lag }: { readonly count: number; readonly lag: number }) {
  let behind = lag;
  let removed = 0;
  let reads = 0;
  const leader = {
    streams: {
      info: async () => ({
        state: { subjects: Object.fromEntries(all().map((seq) => [subjectOf(seq), 1])) },
      }),
      getMessage: async (_stream: string, { last_by_subj: subject }: { last_by_subj: string }) => {
        const seq = subject === "a.*" ? count - removed : Number(subject.slice(2));
        return seq === 0 ? null : { seq, subject: subjectOf(seq) };
      },
    },
  };
  const all = (): readonly number[] => Array.from({ length: count - removed }, (_, i) => i + 1);
  const getBatch = async (_stream: string, { seq = 1, callback }: Query) => {
    const has = Math.max(0, count - behind);
    reads += 1;
    behind = Math.max(0, behind - 1);
    for (let next = seq; next <= has; next += 1) {
      callback(null, { seq: next, subject: subjectOf(next), pending: has - next });
    }
    callback(has < seq ? { err: noMessages() } : {}, {});
    return { stop: () => undefined };
  };
  const nats = {
    isClustered: true,
    attempt: <T>(_what: string, operation: () => Promise<T>) => operation(),
    jsm: { ...leader, direct: { getBatch } },
  } as unknown as Nats;
  return { nats, readCount: () => reads, removeNewest: () => void (removed += 1) };
}

function noMessages(): Error {
  return new JetStreamStatusError("no messages", 404);
}

async function sequencesOf(
  messages: AsyncIterable<{ readonly seq: number }>,
): Promise<readonly number[]> {
  const found: number[] = [];
  for await (const { seq } of messages) found.push(seq);
  return found;
}

describe("a sure read on a cluster", () => {
  it("goes on until the replica has what the leader had", async () => {
    const { nats } = laggingCluster({ count: 5, lag: 3 });
    assert.deepEqual(await sequencesOf(allMessages(nats, "S", { filter: "a.*" })), [1, 2, 3, 4, 5]);
  });

  it("reads once where the replica is current, and from a place where nothing is", async () => {
    const current = laggingCluster({ count: 3, lag: 0 });
    const found = allMessages(current.nats, "S", { filter: "a.*", from: 2 });
    assert.deepEqual(await sequencesOf(found), [2, 3]);
    assert.equal(current.readCount(), 1);
    const beyond = allMessages(current.nats, "S", { filter: "a.*", from: 4 });
    assert.deepEqual(await sequencesOf(beyond), []);
  });

  it("does not wait for what the leader has removed since", async () => {
    const cluster = laggingCluster({ count: 3, lag: 3 });
    const reading = sequencesOf(allMessages(cluster.nats, "S", { filter: "a.*" }));
    cluster.removeNewest();
    assert.deepEqual(await reading, [1, 2]);
  });

  it("takes from the leader what the replica does not have", async () => {
    const { nats } = laggingCluster({ count: 4, lag: 2 });
    const found = await freshMessages(nats, "S", ["a.*"]);
    assert.deepEqual(
      found.map(({ seq }) => seq),
      [1, 2, 3, 4],
    );
  });
});
