import type { JetStreamPublishOptions, PubAck } from "@nats-io/jetstream";
import type { AttemptLimits } from "./attempt.ts";
import type { Nats } from "./connection.ts";
import { isWrongLastSequence } from "./errors.ts";
import { leaderMessage } from "./reading.ts";

interface ExpectedPublish extends Pick<AttemptLimits, "endsWhenFull"> {
  /** For the error when the broker does not answer. */
  readonly what: string;
  readonly stream: string;
  readonly subject: string;
  readonly data: Uint8Array;
  /** Sequence of the subject's newest message; 0: there is none. */
  readonly lastSequence: number;
  readonly ttl?: string;
}

/**
 * Stores a message where nobody else has meanwhile; resolves with its sequence, or `undefined` where somebody has. A try
 * that was stored though its answer was lost makes the next one fail: so what is there then is compared.
 */
export async function publishExpected(
  nats: Nats,
  { what, stream, subject, data, lastSequence, ttl, ...limits }: ExpectedPublish,
): Promise<number | undefined> {
  const options: Partial<JetStreamPublishOptions> = {
    expect: { lastSubjectSequence: lastSequence },
    ...(ttl === undefined ? {} : { ttl }),
  };
  let tries = 0;
  try {
    const publish = (): Promise<PubAck> => {
      tries += 1;
      return nats.js.publish(subject, data, options);
    };
    const ack = await nats.attempt(what, publish, limits);
    return ack.seq;
  } catch (error) {
    if (!isWrongLastSequence(error)) throw error;
  }
  if (tries === 1) return undefined;
  const stored = await leaderMessage(nats, stream, subject);
  if (stored === undefined || stored.seq <= lastSequence) return undefined;
  return Buffer.compare(stored.data, data) === 0 ? stored.seq : undefined;
}
