import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isOverLimit, startLimited, type LimitedRouter } from "./limits-setup.ts";
import type { Clients } from "./matrix-calls.ts";

const selectedParties = ["alice", "bob"];
const keygen = { sessionType: "keygen", thresholdN: 2, thresholdT: 2, selectedParties };

async function backend(router: LimitedRouter, sub: string | undefined): Promise<Clients> {
  return router.clients(await router.issuer.coordinator({ sub }));
}

function publishCreated({ router }: Clients, sessionId: string): Promise<unknown> {
  const joinTokens = Object.fromEntries(selectedParties.map((id) => [id, `token of ${id}`]));
  const shape = { thresholdN: 2, thresholdT: 2, selectedParties, joinTokens, createdAt: 1n };
  return router.publishSessionEvent({
    event: { eventId: `created-${sessionId}`, eventType: "session_created", sessionId, ...shape },
  });
}

describe("a coordinator that floods", () => {
  it("gets as many live sessions as it may have, and takes none from another", async () => {
    await using router = await startLimited(["--max-sessions-per-coordinator=5"]);
    const [flooding, other] = [await backend(router, "one"), await backend(router, "two")];
    const request = { ...keygen, requestId: "first" };
    const { session } = await flooding.coordinator.createSession(request);
    const flood = await Promise.allSettled(
      Array.from({ length: 100 }, () => flooding.coordinator.createSession(keygen)),
    );
    assert.equal(flood.filter(({ status }) => status === "fulfilled").length, 4);
    for (const outcome of flood) {
      if (outcome.status === "fulfilled") continue;
      const reason: unknown = outcome.reason;
      assert.equal(await isOverLimit(Promise.reject(reason as Error), "TOO_MANY_SESSIONS"), 1_000);
    }
    for (let count = 0; count < 4; count += 1) await other.coordinator.createSession(keygen);
    await publishCreated(other, "of-the-other");
    await isOverLimit(other.coordinator.createSession(keygen), "TOO_MANY_SESSIONS");

    const repeated = await flooding.coordinator.createSession(request);
    assert.equal(repeated.session?.sessionId, session?.sessionId);
    await isOverLimit(publishCreated(flooding, "outside"), "TOO_MANY_SESSIONS");
    await flooding.coordinator.cancelSession({ sessionId: session?.sessionId ?? "" });
    await publishCreated(flooding, "outside");
    await publishCreated(flooding, "outside");
    await isOverLimit(flooding.coordinator.createSession(keygen), "TOO_MANY_SESSIONS");
  });

  it("is not told from others whose tokens do not say which they are", async () => {
    await using router = await startLimited(["--max-sessions-per-coordinator=1"]);
    const [one, two] = [await backend(router, undefined), await backend(router, undefined)];
    await one.coordinator.createSession(keygen);
    await isOverLimit(two.coordinator.createSession(keygen), "TOO_MANY_SESSIONS");
    await (await backend(router, "named")).coordinator.createSession(keygen);
  });

  it("is not made known to the parties", async () => {
    await using router = await startLimited([]);
    const name = "backend-name-that-nobody-sees";
    const { session } = await (await backend(router, name)).coordinator.createSession(keygen);
    const alice = await router.party("alice");
    await alice.router.registerParty({ partyId: "alice", partyRole: "temporary" });
    const { sessionId = "" } = session ?? {};
    const shown = [session, await alice.router.getSessionStatus({ sessionId })].map(textOf);
    for await (const event of alice.router.subscribeSessionEvents({ partyId: "alice" })) {
      shown.push(textOf(event));
      break;
    }
    assert.equal(shown.length, 3);
    assert.ok(!shown.join().includes(name), "the coordinator is named");
  });
});

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) => (typeof field === "bigint" ? "" : field));
}
