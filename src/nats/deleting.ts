import type { Nats } from "./connection.ts";
import { isDeleteFailed, isMessageGone } from "./errors.ts";

interface Deletion {
  /** For the error when the broker does not answer. */
  readonly what: string;
  readonly stream: string;
  readonly sequence: number;
  /** Whether what was stored is overwritten: without, it stays readable on the disk for a while. */
  readonly erases: boolean;
}

/** Resolves once the message is gone, which it may have been before. */
export async function deleteMessage(
  nats: Nats,
  { what, stream, sequence, erases }: Deletion,
): Promise<void> {
  await nats.attempt(what, async () => {
    try {
      await nats.jsm.streams.deleteMessage(stream, sequence, erases);
    } catch (error) {
      if (isMessageGone(error)) return;
      // So the server says of one that it cannot delete, as without space to write, and of some that are gone.
      if (!isDeleteFailed(error)) throw error;
      if ((await nats.jsm.streams.getMessage(stream, { seq: sequence })) !== null) throw error;
    }
  });
}
