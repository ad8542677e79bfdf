import type { Random } from "./random.ts";

/** Changes some bytes of an encoded request; a third of them stay as they are. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = Buffer.from(bytes);
  const at = random.below(changed.length + 1);
  switch (random.below(9)) {
    case 0:
      return changed.subarray(0, at);
    case 1:
      return Buffer.concat([changed.subarray(0, at), random.bytes(8), changed.subarray(at)]);
    case 2:
      return Buffer.concat([changed, changed]);
    case 3:
      // A field that no message has, of each wire type.
      return Buffer.concat([changed, random.bytes(1), Buffer.from([0xfa, 0x3f, 0x02, 0x01, 0x02])]);
    case 4:
    case 5:
      for (let count = 1 + random.below(4); count > 0 && changed.length > 0; count -= 1) {
        changed.writeUInt8(random.below(256), random.below(changed.length));
      }
      return changed;
    default:
      return changed;
  }
}

const odd = [
  "null",
  "{}",
  "[]",
  '"x"',
  "true",
  "1e400",
  "-0",
  "9007199254740993",
  '"\\ud800"',
  '{"__proto__":{"success":true}}',
  '{"constructor":{"prototype":{}}}',
  "[".repeat(2_000),
] as const;

/** Changes the text of a request in JSON; a third of them stay as they are. */
export function mutateJson(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  switch (random.below(9)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + random.pick([...odd]) + text.slice(at);
    case 2:
      // Another value for one of the fields.
      return text.replaceAll(/:("[^"]*"|\d+|true|false)/g, (all) =>
        random.oneIn(3) ? `:${random.pick([...odd])}` : all,
      );
    case 3:
      return text.replace("{", `{"nobodyKnowsThis":${random.pick([...odd])},`);
    case 4:
      return text.replace("{", '{"__proto__":{"success":true},');
    case 5:
      return random.pick([...odd]);
    default:
      return text;
  }
}

/** Metadata that the router reads, or a framework does, with values that it should not trust. */
export function randomMetadata(random: Random): Record<string, string> {
  const candidates = {
    "idempotency-key": random.pick(["k", "k", " ", "x".repeat(129), "*.>", "\u00e9"]),
    prefer: random.pick([
      "wait=0",
      "wait=-1",
      "wait=99999999999",
      "wait=1;x",
      "wait",
      "respond-async",
    ]),
    "last-event-id": random.pick(["e", "*", "a.b", "", "x".repeat(200)]),
    "keygen-session-id": random.pick(["x", "*", "", "x".repeat(200)]),
    "grpc-timeout": random.pick(["1S", "99999999H", "0n", "-1S", "S", "1"]),
    "connect-timeout-ms": random.pick(["1000", "0", "-1", "99999999999999", "x"]),
    authorization: random.pick(["Bearer x", "Bearer ", "Basic eDp5", "Bearer a.b.c"]),
  };
  return Object.fromEntries(Object.entries(candidates).filter(() => random.oneIn(12)));
}
