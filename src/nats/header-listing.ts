import { AckPolicy, DeliverPolicy, type Consumer, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Nats } from "./connection.ts";

/** Headers are read this many at a time. */
const headersAtOnce = 1_000;
/** The shortest that the client library allows, in milliseconds. */
const fetchMs = 1_000;
/** The consumer of a reader that has died is forgotten after this, in milliseconds. */
const inactiveMs = 60_000;

/** The headers of all messages that match now, in order; their data is empty. */
export async function* allHeaders(
  nats: Nats,
  stream: string,
  filter: string,
): AsyncGenerator<JsMsg> {
  const { name, num_pending: count } = await nats.jsm.consumers.add(stream, {
    filter_subject: filter,
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.None,
    headers_only: true,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(inactiveMs),
  });
  try {
    yield* pageByPage(await nats.js.consumers.get(stream, name), count);
  } finally {
    // Where it cannot be deleted it goes by itself.
    await nats.jsm.consumers.delete(stream, name).catch(() => undefined);
  }
}

async function* pageByPage(consumer: Consumer, count: number): AsyncGenerator<JsMsg> {
  let left = count;
  while (left > 0) {
    const max_messages = Math.min(left, headersAtOnce);
    // The last ones may be deleted meanwhile, and are then waited for in vain.
    const found = await consumer.fetch({ max_messages, expires: fetchMs });
    left = 0;
    for await (const message of found) {
      left = message.info.pending;
      yield message;
      if (left === 0) break;
    }
  }
}
