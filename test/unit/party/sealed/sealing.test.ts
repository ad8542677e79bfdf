import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ByteReader } from "../../../../src/party/sealed/bytes.ts";
import { createIdentity, type Identity } from "../../../../src/party/sealed/identity.ts";
import { isSealError, type SealReason } from "../../../../src/party/sealed/seal-error.ts";
import {
  decodeHeader,
  encodeHeader,
  newNonce,
  type SealedHeader,
} from "../../../../src/party/sealed/sealed-header.ts";
import { open, seal, verifySeal } from "../../../../src/party/sealed/sealing.ts";

const ids = fc.stringMatching(/^[A-Za-z0-9_-]{1,128}$/);

const headers: fc.Arbitrary<SealedHeader> = fc.record(
  {
    sessionId: ids,
    from: ids,
    to: fc.uniqueArray(ids, { minLength: 1, maxLength: 5 }),
    isBroadcast: fc.boolean(),
    round: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    type: fc.string({ maxLength: 80, unit: "grapheme" }),
    nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  },
  { noNullPrototype: true },
);

const header: SealedHeader = {
  sessionId: "session",
  from: "alice",
  to: ["bob", "carol"],
  isBroadcast: true,
  round: 2,
  type: "dkg/1",
  nonce: newNonce(),
};

function setup(): { alice: Identity; bob: Identity; carol: Identity; mallory: Identity } {
  const [alice, bob, carol, mallory] = [1, 2, 3, 4].map(createIdentity);
  assert.ok(alice && bob && carol && mallory);
  return { alice, bob, carol, mallory };
}

async function sealedBy(
  sender: Identity,
  recipients: readonly Identity[],
  options: { readonly header?: SealedHeader; readonly body?: Uint8Array } = {},
): Promise<Uint8Array> {
  const keys = { identity: sender, recipients: recipients.map((one) => one.public) };
  return seal(options.header ?? header, options.body ?? new Uint8Array([1, 2, 3]), keys);
}

async function refused(reason: SealReason, opening: Promise<unknown>): Promise<void> {
  await assert.rejects(opening, (error) => isSealError(error, reason));
}

describe("a sealed header", () => {
  it("reads back as it was written, whatever is in it", () => {
    fc.assert(
      fc.property(headers, (written) => {
        assert.deepEqual(decodeHeader(new ByteReader(encodeHeader(written))), written);
      }),
    );
  });

  it("has the same bytes for the same header only", () => {
    fc.assert(
      fc.property(headers, headers, (one, other) => {
        const isSame = Buffer.compare(encodeHeader(one), encodeHeader(other)) === 0;
        let isEqual = true;
        try {
          assert.deepEqual(one, other);
        } catch {
          isEqual = false;
        }
        assert.equal(isSame, isEqual);
      }),
    );
  });

  it("is refused when it is cut short, wherever", () => {
    const bytes = encodeHeader(header);
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeHeader(new ByteReader(bytes.subarray(0, length))), RangeError);
    }
  });
});

describe("a sealed message", () => {
  it("opens for each of its recipients to what was sealed, of any size", async () => {
    const { alice, bob, carol } = setup();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (body) => {
        const sealed = await sealedBy(alice, [bob, carol], { body });
        const signed = await verifySeal(sealed, () => alice.public.signingKey);
        assert.deepEqual(signed.header, header);
        assert.deepEqual(await open(signed, "bob", bob), body);
        assert.deepEqual(await open(signed, "carol", carol), body);
      }),
      { numRuns: 30 },
    );
  });

  it("shows nothing of what is in it", async () => {
    const { alice, bob, carol } = setup();
    const body = new TextEncoder().encode("a share of a key, long enough to be found");
    const sealed = Buffer.from(await sealedBy(alice, [bob, carol], { body }));
    for (let start = 0; start + 8 <= body.length; start++) {
      assert.equal(sealed.indexOf(body.subarray(start, start + 8)), -1);
    }
  });

  it("is never the same twice", async () => {
    const { alice, bob, carol } = setup();
    const [one, other] = await Promise.all([1, 2].map(() => sealedBy(alice, [bob, carol])));
    assert.notDeepEqual(one, other);
  });

  it("is refused with any byte changed", async () => {
    const { alice, bob, carol } = setup();
    const sealed = await sealedBy(alice, [bob, carol]);
    for (let position = 0; position < sealed.length; position++) {
      const changed = sealed.slice();
      changed[position] = (changed[position] ?? 0) ^ (1 << (position % 8));
      const signingKeyOf = (partyId: string): Uint8Array | undefined =>
        partyId === "alice" ? alice.public.signingKey : undefined;
      await assert.rejects(verifySeal(changed, signingKeyOf), (error) =>
        isSealError(error, "TAMPERED", "MALFORMED", "UNKNOWN_PEER"),
      );
    }
  });

  it("is refused when it is cut short or longer", async () => {
    const { alice, bob, carol } = setup();
    const sealed = await sealedBy(alice, [bob, carol]);
    const longer = Uint8Array.from([...sealed, 0]);
    for (const bytes of [longer, ...Array.from(sealed.keys(), (end) => sealed.subarray(0, end))]) {
      await assert.rejects(
        verifySeal(bytes, () => alice.public.signingKey),
        (error) => isSealError(error, "TAMPERED", "MALFORMED"),
      );
    }
  });

  it("is refused, and never breaks anything, when it is any bytes at all", async () => {
    const { alice } = setup();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
        await assert.rejects(
          verifySeal(bytes, () => alice.public.signingKey),
          (error) => isSealError(error, "TAMPERED", "MALFORMED"),
        );
      }),
    );
  });

  it("is refused from somebody else than its header says", async () => {
    const { alice, bob, carol, mallory } = setup();
    const sealed = await sealedBy(mallory, [bob, carol]);
    await refused(
      "TAMPERED",
      verifySeal(sealed, () => alice.public.signingKey),
    );
  });

  it("is refused from a party whose key is not pinned", async () => {
    const { alice, bob, carol } = setup();
    const sealed = await sealedBy(alice, [bob, carol]);
    await refused(
      "UNKNOWN_PEER",
      verifySeal(sealed, () => undefined),
    );
  });

  it("opens for nobody it was not sealed for", async () => {
    const { alice, bob, carol, mallory } = setup();
    const sealed = await sealedBy(alice, [bob, carol]);
    const signed = await verifySeal(sealed, () => alice.public.signingKey);
    await refused("MISDIRECTED", open(signed, "mallory", mallory));
    await refused("UNREADABLE", open(signed, "bob", mallory));
    await refused("UNREADABLE", open(signed, "bob", carol));
  });

  it("does not open under another header, even one that its sender signed", async () => {
    const { alice, bob, carol } = setup();
    const signed = await verifySeal(
      await sealedBy(alice, [bob, carol]),
      () => alice.public.signingKey,
    );
    for (const other of [
      { sessionId: "another" },
      { from: "mallory" },
      { to: ["bob", "mallory"] },
      { isBroadcast: false },
      { round: 3 },
      { type: "dkg/2" },
      { nonce: newNonce() },
    ]) {
      const headerBytes = encodeHeader({ ...header, ...other });
      await refused("UNREADABLE", open({ ...signed, headerBytes }, "bob", bob));
    }
  });
});
