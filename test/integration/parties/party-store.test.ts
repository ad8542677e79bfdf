import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Party } from "../../../src/domain/parties/party.ts";
import { register, startRouter, type TestInstance } from "../../support/test-instances.ts";
import { until } from "../../support/until.ts";

async function idsOn(instance: TestInstance): Promise<readonly string[]> {
  return (await instance.parties.all()).map(({ partyId }) => partyId).toSorted();
}

function seenOn(instance: TestInstance, partyId: string): Promise<number> {
  return instance.presence.lastSeenAt([partyId]).then((seen) => seen.get(partyId) ?? 0);
}

describe("registrations in memory", () => {
  it("have what another instance stored a moment ago, each time", async () => {
    await using router = await startRouter();
    for (let number = 0; number < 200; number += 1) {
      const [writer, reader] = number % 2 === 0 ? [router.a, router.b] : [router.b, router.a];
      const party: Party = {
        partyId: `party-${number % 50}`,
        role: "persistent",
        version: String(number),
        offlineMode: false,
        registeredAt: number,
        renewedAt: number,
      };
      await writer.parties.upsert(party.partyId, () => party);
      const listed = await reader.parties.all();
      assert.deepEqual(
        listed.find(({ partyId }) => partyId === party.partyId),
        party,
      );
      assert.equal(listed.length, Math.min(50, number + 1));
    }
  });

  it("go on after the server was killed, on every instance, with what came since", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1");
    assert.deepEqual(await idsOn(router.b), ["party-1"]);
    await router.crashServer();
    await register(router.b, "party-2");
    for (const instance of [router.a, router.b]) {
      assert.deepEqual(await idsOn(instance), ["party-1", "party-2"]);
      assert.ok((await seenOn(instance, "party-2")) > 0);
    }
    await using fresh = await router.openInstance();
    assert.deepEqual(await idsOn(fresh), ["party-1", "party-2"]);
    await until("written again", async () => (await seenOn(fresh, "party-1")) > 0);
  });

  it("pass over what somebody else put into the bucket or deleted from it", async () => {
    await using router = await startRouter();
    const { js } = router.a.nats;
    await register(router.a, "party-1");
    await js.publish("$KV.mpc_parties.strange", "{");
    await js.publish("$KV.mpc_parties.deleted", "");
    assert.deepEqual(await idsOn(router.b), ["party-1"]);
    await register(router.a, "party-2");
    assert.deepEqual(await idsOn(router.b), ["party-1", "party-2"]);
    await using fresh = await router.openInstance();
    assert.deepEqual(await idsOn(fresh), ["party-1", "party-2"]);
  });
});
