import type { StoredMsg } from "@nats-io/jetstream";
import type { ResealableSecrets } from "../domain/sessions/session-ports.ts";
import type { Nats } from "./connection.ts";
import { isMessageGone, isWrongLastSequence } from "./errors.ts";
import { leaderMessage, subjectsIn } from "./reading.ts";
import { streams, subjects } from "./subjects.ts";

const stream = streams.secrets;

/**
 * Sealed values, each under a subject of its own. NATS leaves what is purged or replaced in its files; only the
 * deletion of one message with `erase` overwrites it there, so that is the one way a value goes.
 */
export function openSecretStore(nats: Nats): ResealableSecrets {
  return {
    async put(kind, id, sealed) {
      const subject = subjects.secret(kind, id);
      await eraseBefore(nats, subject, await publishSecret(nats, subject, sealed));
    },
    async get(kind, id) {
      const stored = await leaderMessage(nats, stream, subjects.secret(kind, id));
      return stored?.data;
    },
    async exchange(kind, id, { known, sealed }) {
      const subject = subjects.secret(kind, id);
      const stored = await leaderMessage(nats, stream, subject);
      if (stored === undefined || Buffer.compare(stored.data, known) !== 0) return false;
      const sequence = await publishSecretAfter(nats, { subject, after: stored.seq }, sealed);
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

async function publishSecret(nats: Nats, subject: string, value: Uint8Array): Promise<number> {
  const ack = await nats.attempt("storing a secret", () => nats.js.publish(subject, value));
  return ack.seq;
}

/** Publishes only where the subject's newest message is that one (0: there is none); `undefined`: it is another. */
export async function publishSecretAfter(
  nats: Nats,
  { subject, after }: { readonly subject: string; readonly after: number },
  value: Uint8Array,
): Promise<number | undefined> {
  try {
    const expect = { lastSubjectSequence: after };
    const ack = await nats.attempt("storing a secret", () =>
      nats.js.publish(subject, value, { expect }),
    );
    return ack.seq;
  } catch (error) {
    if (isWrongLastSequence(error)) return undefined;
    throw error;
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

async function eraseMessage(nats: Nats, sequence: number): Promise<void> {
  await nats.attempt("erasing a secret", async () => {
    try {
      await nats.jsm.streams.deleteMessage(stream, sequence, true);
    } catch (error) {
      if (!isMessageGone(error)) throw error;
    }
  });
}
