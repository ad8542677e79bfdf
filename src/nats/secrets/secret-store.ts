import type { StoredMsg } from "@nats-io/jetstream";
import { limits } from "../../domain/ids.ts";
import type { ResealableSecrets, SecretKind } from "../../domain/secrets/secret-ports.ts";
import { retentionMs } from "../../domain/sessions/session.ts";
import { ttlOf } from "../bucket.ts";
import type { Nats } from "../connection.ts";
import { deleteMessage } from "../deleting.ts";
import { isMessageGone, isWrongLastSequence } from "../errors.ts";
import { leaderMessage, subjectsIn } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

const stream = streams.secrets;

/**
 * Sealed values, each under a subject of its own. NATS leaves what is purged or replaced in its files; only the
 * deletion of one message with `erase` overwrites it there, so that is the one way a value goes.
 */
export function openSecretStore(nats: Nats): ResealableSecrets {
  return {
    async put(kind, id, sealed) {
      const subject = subjects.secret(kind, id);
      const sequence = await publishSecret(nats, { subject, ...lifetimeOf(kind) }, sealed);
      if (sequence !== undefined) await eraseBefore(nats, subject, sequence);
    },
    async get(kind, id) {
      const stored = await leaderMessage(nats, stream, subjects.secret(kind, id));
      return stored?.data;
    },
    async exchange(kind, id, { known, sealed }) {
      const subject = subjects.secret(kind, id);
      const stored = await leaderMessage(nats, stream, subject);
      if (stored === undefined || !isSame(stored.data, known)) return false;
      const place = { subject, after: stored.seq, ...lifetimeOf(kind) };
      const sequence = await publishSecret(nats, place, sealed);
      if (sequence === undefined) return false;
      await eraseBefore(nats, subject, sequence);
      return true;
    },
    erase: (kind, id) => eraseBefore(nats, subjects.secret(kind, id), Number.MAX_SAFE_INTEGER),
    async ids(kind) {
      const found = await subjectsIn(nats, stream, subjects.secretsOfKind(kind));
      const prefixLength = subjects.secret(kind, "").length;
      return found.map((subject) => subject.slice(prefixLength));
    },
  };
}

interface SecretPlace {
  readonly subject: string;
  /** Sequence that the subject's newest message must have, 0 for none; absent: whatever there is. */
  readonly after?: number;
  /** Absent: for as long as nobody erases it. */
  readonly ttl?: string;
}

/** Stores the value and resolves with its sequence; `undefined`: another message than expected is the newest. */
export async function publishSecret(
  nats: Nats,
  { subject, after, ttl }: SecretPlace,
  value: Uint8Array,
): Promise<number | undefined> {
  const options = {
    ...(after === undefined ? {} : { expect: { lastSubjectSequence: after } }),
    ...(ttl === undefined ? {} : { ttl }),
  };
  try {
    const ack = await nats.attempt("storing a secret", () =>
      nats.js.publish(subject, value, options),
    );
    return ack.seq;
  } catch (error) {
    if (!isWrongLastSequence(error)) throw error;
    // It may have been this very value, of a try whose answer was lost.
    const newest = await leaderMessage(nats, stream, subject);
    return newest !== undefined && isSame(newest.data, value) ? newest.seq : undefined;
  }
}

/** Erases every message of the subject before that sequence, one by one, as the leader has them. */
export async function eraseBefore(nats: Nats, subject: string, sequence: number): Promise<void> {
  for (;;) {
    const oldest = await oldestOf(nats, subject);
    if (oldest === undefined || oldest.seq >= sequence) return;
    await eraseMessage(nats, oldest.seq);
  }
}

async function oldestOf(nats: Nats, subject: string): Promise<StoredMsg | undefined> {
  const found = await nats.attempt("reading a secret", async () => {
    try {
      // The server takes both, and the library passes them on; only its type does not say so.
      const query = { seq: 1, next_by_subj: subject };
      return await nats.jsm.streams.getMessage(stream, query);
    } catch (error) {
      if (isMessageGone(error)) return null;
      throw error;
    }
  });
  return found ?? undefined;
}

function eraseMessage(nats: Nats, sequence: number): Promise<void> {
  return deleteMessage(nats, { what: "erasing a secret", stream, sequence, erases: true });
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** Should a session's secret ever be overlooked, the server drops it when no session can need it any more. */
function lifetimeOf(kind: SecretKind): { readonly ttl?: string } {
  return kind === "contact" ? {} : { ttl: ttlOf(limits.sessionTtlMs.max + 2 * retentionMs) };
}
