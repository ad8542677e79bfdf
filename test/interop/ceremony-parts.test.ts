import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { DKG_Round1 } from "@noble/curves/abstract/frost.js";
import { ed25519_FROST as frost } from "@noble/curves/ed25519.js";
import { decodeRound1, encodeRound1, identifierOf } from "../../examples/ceremony/frost-wire.ts";
import { Mailbox } from "../../examples/ceremony/mailbox.ts";
import { firstOf, isTransient } from "../../examples/ceremony/retry.ts";
import { createIdentity, seal, unseal, type Envelope } from "../../examples/ceremony/sealing.ts";
import { isVerified } from "../../examples/ceremony/verification.ts";
import { MPCMessageSchema, type MPCMessage } from "../../gen/mpc/router/v1/message_router_pb.js";

describe("sealing a share", () => {
  const envelope: Envelope = {
    sessionId: "session",
    from: "alice",
    to: "bob",
    round: 2,
    type: "frost/dkg2",
    transcript: "00",
  };

  async function setup() {
    const [alice, bob, mallory] = await Promise.all([1, 2, 3].map(async () => createIdentity()));
    assert.ok(alice && bob && mallory);
    const plain = new Uint8Array([1, 2, 3]);
    const keys = { sender: alice, recipient: bob.publicKey };
    return { alice, bob, mallory, plain, sealed: await seal(keys, envelope, plain) };
  }

  it("gives the recipient what the sender sealed", async () => {
    const { alice, bob, plain, sealed } = await setup();
    const keys = { sender: alice.publicKey, recipient: bob };
    assert.deepEqual(await unseal(keys, envelope, sealed), plain);
  });

  it("opens in no other place than it was sealed for", async () => {
    const { alice, bob, sealed } = await setup();
    const keys = { sender: alice.publicKey, recipient: bob };
    for (const other of [
      { sessionId: "another" },
      { from: "mallory" },
      { to: "mallory" },
      { round: 3 },
      { type: "frost/dkg1" },
      { transcript: "01" },
    ]) {
      await assert.rejects(unseal(keys, { ...envelope, ...other }, sealed));
    }
  });

  it("opens for nobody else, and as from nobody else", async () => {
    const { alice, bob, mallory, sealed } = await setup();
    await assert.rejects(unseal({ sender: alice.publicKey, recipient: mallory }, envelope, sealed));
    await assert.rejects(unseal({ sender: mallory.publicKey, recipient: bob }, envelope, sealed));
  });
});

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

  it("counts a redelivered message as a duplicate, and does not take it twice", () => {
    const mailbox = new Mailbox();
    assert.equal(mailbox.put(message("1", "bob", "round1")), true);
    assert.equal(mailbox.put(message("1", "bob", "round1")), false);
    assert.equal(mailbox.duplicates, 1);
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

describe("a failed call", () => {
  it("is made again when the router is away or the connection broke", () => {
    for (const error of [
      new ConnectError("BROKER_UNAVAILABLE: append", Code.Unavailable),
      new ConnectError("connect ECONNREFUSED 127.0.0.1:8080", Code.Unavailable),
      new ConnectError("socket hang up", Code.Aborted),
      new ConnectError("The pending stream has been canceled", Code.Internal),
      new ConnectError("protocol error: missing EndStreamResponse", Code.InvalidArgument),
      new ConnectError("the operation timed out", Code.DeadlineExceeded),
    ]) {
      assert.equal(isTransient(error), true, error.message);
    }
  });

  it("is not made again when the router has refused it", () => {
    for (const error of [
      new ConnectError("SUPERSEDED: a newer stream took over", Code.Aborted),
      new ConnectError("INVALID_ID: session_id must be 1 to 128 characters", Code.InvalidArgument),
      new ConnectError("SESSION_NOT_FOUND: session", Code.NotFound),
      new ConnectError("internal error", Code.Internal),
      new ConnectError("unknown method", Code.Unimplemented),
      new TypeError("undefined is not a function"),
    ]) {
      assert.equal(isTransient(error), false, error.message);
    }
  });

  it("ends the other way to the same result", async () => {
    const ended = Promise.withResolvers<void>();
    const result = await firstOf<string>(new AbortController().signal, [
      async () => "first",
      async (signal) => {
        signal.addEventListener("abort", () => ended.resolve());
        await ended.promise;
        return "second";
      },
    ]);
    assert.equal(result, "first");
    await ended.promise;
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

function message(messageId: string, fromParty: string, messageType: string): MPCMessage {
  return create(MPCMessageSchema, { messageId, fromParty, messageType });
}

function idOf(one: MPCMessage): string {
  return one.messageId;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
