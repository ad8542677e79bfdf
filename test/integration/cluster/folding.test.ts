import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Nats } from "../../../src/nats/connection.ts";
import { readDeliveries } from "../../../src/nats/mail/delivery-summary.ts";
import { foldRecordsOf } from "../../../src/nats/mail/folding.ts";
import { provision } from "../../../src/nats/provisioning.ts";
import { subjectsIn } from "../../../src/nats/reading.ts";
import { streams, subjects } from "../../../src/nats/subjects.ts";
import { startNatsCluster } from "../../support/nats-cluster.ts";
import { connect, leaveRecord, mailboxOf, messageTo } from "../mail/mail-room.ts";

/** Longer than a summary must be there before the records go. */
const laterMs = 200_000;

async function fold(nats: Nats, sessionId: string): Promise<void> {
  const later = { ...nats, clock: { nowMs: () => Date.now() + laterMs } };
  const settler = { add: () => undefined };
  while ((await foldRecordsOf({ nats: later, settler }, sessionId)) !== undefined);
}

describe("delivery records on a cluster of three", () => {
  it("are folded by two instances at once, and say the same through every server", async () => {
    await using resources = new AsyncDisposableStack();
    const cluster = resources.use(await startNatsCluster());
    const all: Nats[] = [];
    for (const server of cluster.servers) all.push(resources.use(await connect(server)));
    const [one, other] = all;
    assert.ok(one !== undefined && other !== undefined);
    await provision(one);
    for (let round = 0; round < 3; round += 1) {
      const { sessionId } = mailboxOf("a");
      const messages = Array.from({ length: 30 }, () => messageTo(sessionId, ["b", "c"]));
      for (const message of messages) {
        await leaveRecord(one, message, { partyId: "b", state: "ack" });
        await leaveRecord(one, message, { partyId: "c", state: "fail" });
      }
      const read = (nats: Nats): Promise<readonly unknown[]> =>
        Promise.all(
          messages.map(async ({ messageId }) => {
            const filter = subjects.deliveriesOf(sessionId, messageId);
            return (await readDeliveries(nats, sessionId, [filter])).get(messageId);
          }),
        );
      const known = await read(one);
      await Promise.all([fold(one, sessionId), fold(other, sessionId)]);
      for (const nats of all) assert.deepEqual(await read(nats), known);
      const filter = subjects.deliveriesOfSession(sessionId);
      const left = await subjectsIn(one, streams.deliveries, filter);
      assert.deepEqual(left, [subjects.deliverySummary(sessionId)]);
    }
  });
});
