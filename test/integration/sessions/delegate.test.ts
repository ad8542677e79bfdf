import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CreatedSession } from "../../../src/domain/sessions/control-plane.ts";
import { retentionMs } from "../../../src/domain/sessions/session.ts";
import { refusal } from "../../unit/domain/sessions/session-records.ts";
import { alternating, anybody, key, none, openTrio, reportOn, request, startOn } from "./calls.ts";
import type { Instance, Pair } from "./instances.ts";

const userPublicKey = new Uint8Array(32).fill(7);
const encryptedShare = new Uint8Array(500).fill(9);
const roster = ["p0", "p1", "d0"];

async function setup(): Promise<Pair> {
  const trio = await openTrio();
  await trio.register("d0", "delegate");
  return trio;
}

/** A started keygen session whose delegate d0 owes the user a share. */
async function startKeygen(next: () => Instance): Promise<CreatedSession> {
  const asked = request({ selectedParties: roster, userPublicKey });
  const created = await next().coordinator.createSession(anybody, asked);
  await startOn(next, created);
  return created;
}

function submitOn(
  instance: Instance,
  sessionId: string,
  changes: Partial<Parameters<Instance["coordinator"]["submitDelegateShare"]>[1]> = {},
): Promise<void> {
  return instance.coordinator.submitDelegateShare(anybody, {
    sessionId,
    partyId: "d0",
    encryptedShare,
    publicKey: key,
    partyIndex: 2,
    ...changes,
  });
}

async function shareCount(pair: Pair): Promise<number> {
  return (await pair.a.secrets.ids("share")).length;
}

async function complete(next: () => Instance, sessionId: string): Promise<void> {
  await submitOn(next(), sessionId);
  for (const partyId of roster) await reportOn(next(), sessionId, partyId);
}

describe("the user's share at key generation", () => {
  it("goes from the delegate through the coordinator to the user, once, and is erased", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const created = await startKeygen(next);
    const { sessionId } = created.record;
    const token = created.joinTokens.get("d0") ?? "";
    assert.equal(token.split(".")[1], Buffer.from(userPublicKey).toString("base64url"));
    await assert.rejects(reportOn(next(), sessionId, "d0"), refusal("DELEGATE_SHARE_MISSING"));
    await complete(next, sessionId);
    const done = await next().coordinator.getSession(anybody, sessionId);
    assert.deepEqual([done.status, done.delegateShare.state], ["completed", "stored"]);

    const take = { sessionId, takeId: "take-1" };
    const first = await next().coordinator.takeDelegateShare(anybody, take);
    assert.deepEqual(first, {
      delegatePartyId: "d0",
      encryptedShare,
      publicKey: key,
      partyIndex: 2,
      eraseAt: done.endedAt + retentionMs,
    });
    assert.deepEqual(await next().coordinator.takeDelegateShare(anybody, take), first);
    const other = { sessionId, takeId: "take-2" };
    await assert.rejects(
      next().coordinator.takeDelegateShare(anybody, other),
      refusal("DELEGATE_SHARE_TAKEN"),
    );
    await next().coordinator.confirmDelegateShare(anybody, take);
    await next().coordinator.confirmDelegateShare(anybody, take);
    assert.equal(await shareCount(pair), 0);
    await assert.rejects(
      next().coordinator.takeDelegateShare(anybody, take),
      refusal("DELEGATE_SHARE_NOT_FOUND"),
    );
    const after = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(after.delegateShare.state, "erased");
  });

  it("is stored once, whatever is offered beside it, on both instances at once", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const { record } = await startKeygen(next);
    const { sessionId } = record;
    const offers = await Promise.allSettled(
      [1, 2, 3, 4].map((fill) =>
        submitOn(next(), sessionId, { encryptedShare: new Uint8Array(8).fill(fill) }),
      ),
    );
    assert.equal(offers.filter(({ status }) => status === "fulfilled").length, 1);
    for (const offer of offers) {
      if (offer.status === "rejected") refusal("DELEGATE_SHARE_DIFFERS")(offer.reason);
    }
    assert.equal(await shareCount(pair), 1);
    const fill = offers.findIndex(({ status }) => status === "fulfilled") + 1;
    await submitOn(next(), sessionId, { encryptedShare: new Uint8Array(8).fill(fill) });
    for (const partyId of roster) await reportOn(next(), sessionId, partyId);
    const take = { sessionId, takeId: "t" };
    const taken = await next().coordinator.takeDelegateShare(anybody, take);
    assert.equal(taken.encryptedShare[0], fill);
  });

  it("is refused from anybody else, or where it does not fit, and then nothing is stored", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const { record } = await startKeygen(next);
    const { sessionId } = record;
    const refused = [
      [{ partyId: "p0", partyIndex: 0 }, "NOT_THE_DELEGATE"],
      [{ partyId: "stranger" }, "SESSION_NOT_FOUND"],
      [{ partyIndex: 1 }, "INVALID_FIELD"],
      [{ encryptedShare: none }, "INVALID_FIELD"],
      [{ encryptedShare: new Uint8Array(65_537) }, "INVALID_FIELD"],
      [{ publicKey: none }, "INVALID_FIELD"],
      [{ sessionId: "unknown" }, "SESSION_NOT_FOUND"],
    ] as const;
    for (const [changes, reason] of refused) {
      await assert.rejects(submitOn(next(), sessionId, changes), refusal(reason));
    }
    await reportOn(next(), sessionId, "p0");
    const otherKey = { publicKey: new Uint8Array([1]) };
    await assert.rejects(submitOn(next(), sessionId, otherKey), refusal("PUBLIC_KEY_DIFFERS"));
    assert.equal(await shareCount(pair), 0);
  });

  it("is erased at once when the keygen fails or expires, and a day after it completed", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const failing = await startKeygen(next);
    await submitOn(next(), failing.record.sessionId);
    await next().coordinator.cancelSession(anybody, failing.record.sessionId, "");
    assert.equal(await shareCount(pair), 0);

    const expiring = await startKeygen(next);
    await submitOn(next(), expiring.record.sessionId);
    pair.clock.advance(601_000);
    await pair.b.coordinator.housekeeping.expireDue();
    assert.equal(await shareCount(pair), 0);

    const { sessionId } = (await startKeygen(next)).record;
    await complete(next, sessionId);
    pair.clock.advance(retentionMs - 10_000);
    await pair.b.coordinator.housekeeping.sweep();
    assert.equal(await shareCount(pair), 1);
    pair.clock.advance(11_000);
    await assert.rejects(
      next().coordinator.takeDelegateShare(anybody, { sessionId, takeId: "t" }),
      refusal("DELEGATE_SHARE_NOT_FOUND"),
    );
    const kept = await next().coordinator.getSession(anybody, sessionId);
    assert.equal(kept.delegateShare.state, "erased");
    await pair.b.coordinator.housekeeping.sweep();
    assert.equal(await shareCount(pair), 0);
  });

  it("needs one delegate in the session", async () => {
    await using pair = await setup();
    const without = request({ userPublicKey });
    await assert.rejects(
      pair.a.coordinator.createSession(anybody, without),
      refusal("INVALID_FIELD"),
    );
  });
});

describe("the user's share lent for one signing", () => {
  it("reaches the delegate while the session lives, and is erased at its end", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const keygen = await startKeygen(next);
    const keygenSessionId = keygen.record.sessionId;
    await complete(next, keygenSessionId);
    const signing = request({
      requestId: "sign-1",
      sessionType: "sign",
      messageHash: new Uint8Array(32),
      selectedParties: ["d0", "p1"],
      keygenSessionId,
      lentShare: { delegatePartyId: "d0", encryptedShare, partyIndex: 2 },
    });
    const created = await next().coordinator.createSession(anybody, signing);
    const repeated = await next().coordinator.createSession(anybody, signing);
    assert.deepEqual(repeated, created);
    assert.deepEqual(created.record.lentShareTo, { partyId: "d0", partyIndex: 2 });
    assert.deepEqual(await next().coordinator.lentShareFor(created.record), encryptedShare);
    assert.equal((await pair.a.secrets.ids("lent")).length, 1);
    await next().coordinator.cancelSession(anybody, created.record.sessionId, "");
    assert.equal(await next().coordinator.lentShareFor(created.record), undefined);
    assert.equal((await pair.a.secrets.ids("lent")).length, 0);
  });

  it("is refused for another index, for who is not selected, or no delegate", async () => {
    await using pair = await setup();
    const next = alternating(pair);
    const keygen = await startKeygen(next);
    await complete(next, keygen.record.sessionId);
    const signing = request({
      sessionType: "sign",
      messageHash: new Uint8Array(32),
      selectedParties: ["d0", "p1"],
      keygenSessionId: keygen.record.sessionId,
    });
    for (const lentShare of [
      { delegatePartyId: "d0", encryptedShare, partyIndex: 0 },
      { delegatePartyId: "p0", encryptedShare, partyIndex: 0 },
      { delegatePartyId: "p1", encryptedShare, partyIndex: 1 },
    ]) {
      await assert.rejects(
        next().coordinator.createSession(anybody, { ...signing, lentShare }),
        refusal("INVALID_FIELD"),
      );
    }
    assert.equal((await pair.a.secrets.ids("lent")).length, 0);
  });
});
