import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DKG_Round1 } from "@noble/curves/abstract/frost.js";
import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import { decodeRound1, encodeRound1, identifierOf } from "../../examples/frost/frost-wire.ts";
import { Mailbox } from "../../examples/ceremony/mailbox.ts";
import { isVerified } from "../../examples/ceremony/verification.ts";
import type { ReceivedMessage } from "../../src/party/index.ts";

describe("the wire form of a FROST message", () => {
  it("gives back what it was made of", () => {
    const { round1, bytes } = createRound1();
    const decoded = decodeRound1(bytes, identifierOf(0), 2);
    assert.equal(decoded.identifier, round1.identifier);
    assert.deepEqual(decoded.commitment.map(hex), round1.commitment.map(hex));
    assert.equal(hex(decoded.proofOfKnowledge), hex(round1.proofOfKnowledge));
  });

  it("is refused from another participant than it names", () => {
    const { bytes } = createRound1();
    assert.throws(() => decodeRound1(bytes, identifierOf(1), 2), /another participant/);
  });

  it("is refused with a byte more, a byte less, or another threshold", () => {
    const { bytes } = createRound1();
    const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
    assert.throws(() => decodeRound1(longer, identifierOf(0), 2), /bytes instead of/);
    assert.throws(() => decodeRound1(bytes.subarray(1), identifierOf(0), 2), /bytes instead of/);
    assert.throws(() => decodeRound1(bytes, identifierOf(0), 3), /bytes instead of/);
  });
});

describe("a party's mailbox", () => {
  it("keeps a later round that comes before an earlier one", () => {
    const mailbox = new Mailbox();
    mailbox.put(message("2", "bob", "round2"));
    mailbox.put(message("1", "bob", "round1"));
    assert.deepEqual(mailbox.missing("round1", ["bob", "carol"]), ["carol"]);
    assert.deepEqual(mailbox.read("round2", ["bob"]).map(idOf), ["2"]);
  });

  it("keeps the first of two different messages of one sender and type", () => {
    const mailbox = new Mailbox();
    mailbox.put(message("1", "bob", "round1"));
    mailbox.put(message("2", "bob", "round1"));
    assert.deepEqual(mailbox.read("round1", ["bob"]).map(idOf), ["1"]);
  });

  it("wakes who waits when a message arrives", async () => {
    const mailbox = new Mailbox();
    const arrival = mailbox.arrival();
    mailbox.put(message("1", "bob", "round1"));
    await arrival;
  });
});

describe("the verification of a signature", () => {
  it("refuses another hash, key or signature", () => {
    const secretKey = frost.utils.randomScalar();
    const [messageHash, otherHash] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const deal = frost.trustedDealer({ min: 2, max: 3 }, undefined, secretKey);
    const publicKey = deal.public.commitments[0];
    const otherKey = deal.public.commitments[1];
    assert.ok(publicKey && otherKey);
    const signature = frost.sign(messageHash, secretKey);

    assert.equal(isVerified({ signature, messageHash, publicKey }), true);
    assert.equal(isVerified({ signature, messageHash: otherHash, publicKey }), false);
    assert.equal(isVerified({ signature, messageHash, publicKey: otherKey }), false);
    assert.equal(isVerified({ signature: otherKey, messageHash, publicKey }), false);
  });
});

function createRound1(): { round1: DKG_Round1; bytes: Uint8Array } {
  const { public: round1 } = frost.DKG.round1(identifierOf(0), { min: 2, max: 3 });
  return { round1, bytes: encodeRound1(round1) };
}

function message(messageId: string, from: string, type: string): ReceivedMessage {
  return {
    messageId,
    sessionId: "session",
    from,
    isBroadcast: true,
    round: 1,
    type,
    payload: new Uint8Array(),
    createdAt: 0,
    acknowledge: async () => undefined,
    refuse: async () => undefined,
  };
}

function idOf(one: ReceivedMessage): string {
  return one.messageId;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
