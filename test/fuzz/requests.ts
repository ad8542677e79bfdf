import {
  create,
  ScalarType,
  type DescField,
  type DescMessage,
  type Message,
} from "@bufbuild/protobuf";
import type { Random } from "./random.ts";

/** Ids and tokens of a session that lives, so that requests come further than the first check. */
export interface Known {
  readonly sessionId: string;
  readonly parties: readonly [string, ...string[]];
  readonly messageIds: readonly [string, ...string[]];
  readonly tokens: readonly [string, ...string[]];
}

/** Never a proper id: wildcards and separators of NATS, keys of a prototype, other scripts, and what breaks lines. */
const oddTexts = [
  "",
  "*",
  ">",
  "mpc.msg.>",
  "a.b",
  "a b",
  "$JS.API.STREAM.PURGE.MPC_MSG",
  "$KV.mpc_sessions.x",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "\u0000",
  "\r\nNats-Rollup: all",
  "é\u202e漢",
  "../../etc/passwd",
  "a".repeat(128),
  "a".repeat(129),
  "b".repeat(5_000),
  "-1",
  "permanent: no",
] as const;

const words = ["keygen", "sign", "persistent", "delegate", "temporary", "created", "note"] as const;

const numbers = [0, 1, 2, 3, -1, 100, 101, 65_536, 2 ** 31 - 1, -(2 ** 31)] as const;
const bigNumbers = [0n, 1n, -1n, 60_000n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)] as const;

/** A request with each field at random left out, proper, or odd. */
export function randomRequest(desc: DescMessage, random: Random, known: Known): Message {
  const fields: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (!random.oneIn(8)) fields[field.localName] = fieldValue(field, random, known);
  }
  return create(desc, fields);
}

function fieldValue(field: DescField, random: Random, known: Known): unknown {
  if (field.fieldKind === "list") {
    const item = (): unknown =>
      field.listKind === "message"
        ? randomRequest(field.message, random, known)
        : scalar(field, random, known);
    return Array.from({ length: random.below(4) }, item);
  }
  if (field.fieldKind === "map") {
    const key = (): string => random.pick([...known.parties, "__proto__", "constructor", ""]);
    return Object.fromEntries(
      Array.from({ length: random.below(4) }, () => [key(), text(field.name, random, known)]),
    );
  }
  if (field.fieldKind === "message") return randomRequest(field.message, random, known);
  return scalar(field, random, known);
}

const bigTypes: readonly (ScalarType | undefined)[] = [ScalarType.INT64, ScalarType.UINT64];

function scalar(field: DescField, random: Random, known: Known): unknown {
  if (field.scalar === ScalarType.STRING) return text(field.name, random, known);
  if (field.scalar === ScalarType.BYTES) {
    return random.bytes(random.pick([0, 1, 32, 32, 64, 65, 5_000]));
  }
  if (field.scalar === ScalarType.BOOL) return random.oneIn(2);
  return bigTypes.includes(field.scalar) ? random.pick([...bigNumbers]) : random.pick([...numbers]);
}

/** Mostly what a field of that name would hold. */
function text(name: string, random: Random, known: Known): string {
  if (random.oneIn(8)) return random.pick([...oddTexts]);
  if (name.includes("session_id")) return known.sessionId;
  if (name.includes("message_id")) return random.pick(known.messageIds);
  if (name.includes("token")) return random.pick(known.tokens);
  if (name.includes("part") && !name.includes("role")) return random.pick(known.parties);
  return random.pick([...words]);
}
