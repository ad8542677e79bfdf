import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { headers, type Msg } from "@nats-io/transport-node";
import type { Nats } from "../../../../src/nats/connection.ts";
import { startPull, type Puller } from "../../../../src/nats/mail/pull.ts";

interface Request {
  readonly reply: string;
  readonly body: { readonly batch: number; readonly max_bytes?: number };
}

interface Setup {
  readonly puller: Puller;
  readonly requests: readonly Request[];
  /** A message that answers a request. */
  readonly deliver: (bytes: number) => void;
  /** The end of a request, in the server's words. */
  readonly end: (request: Request | undefined, code: number, words: string) => void;
}

const maxBytes = 1_000_000;

function messageOf(subject: string, more: Partial<Msg>): Msg {
  return { subject, data: new Uint8Array(), size: () => more.data?.length ?? 0, ...more } as Msg;
}

/** A puller on a connection that records what it is asked for. */
function setup(): Setup {
  const requests: Request[] = [];
  type Listener = (error: Error | null, message: Msg) => void;
  const listeners = new Map<string, Listener>();
  let sequence = 0;
  const nc = {
    isClosed: () => false,
    publish: (_subject: string, body: string, { reply }: { reply: string }) => {
      requests.push({ reply, body: JSON.parse(body) as Request["body"] });
    },
    subscribe: (subject: string, { callback }: { callback: Listener }) => {
      listeners.set(subject.slice(0, -".*".length), callback);
      return { unsubscribe: () => undefined, drain: () => Promise.resolve() };
    },
  };
  const puller = startPull({
    nats: { nc } as unknown as Nats,
    stream: "S",
    consumer: "c",
    maxBytes,
    onChange: () => undefined,
  });
  const hear = (place: string, message: Msg): void => {
    const inbox = [...listeners.keys()].find((known) => place.startsWith(`${known}.`)) ?? "";
    listeners.get(inbox)?.(null, message);
  };
  return {
    puller,
    requests,
    deliver(bytes) {
      sequence += 1;
      const reply = `$JS.ACK.S.c.1.${sequence}.${sequence}.1700000000000000000.0`;
      const place = requests.at(0)?.reply ?? "";
      hear(place, messageOf("mpc.msg.b.s.m", { reply, data: new Uint8Array(bytes) }));
    },
    end(request, code, words) {
      const status = headers(code, words);
      const place = request?.reply ?? "";
      hear(place, messageOf(place, { headers: status }));
    },
  };
}

describe("puller", () => {
  it("asks once, and again only when the request has ended and there is room", () => {
    const { puller, requests, deliver, end } = setup();
    puller.refill(256);
    puller.refill(256);
    assert.equal(requests.length, 1);
    deliver(600_000);
    end(requests[0], 408, "Request Timeout");
    puller.refill(256);
    assert.equal(requests.length, 1, "more than half of the room is taken");
    assert.equal(puller.take()?.data.length, 600_000);
    puller.refill(256);
    assert.equal(requests.length, 2);
  });

  it("has one request open at a time, although the end of the last is told late", () => {
    const { puller, requests, deliver, end } = setup();
    puller.refill(256);
    const [first] = requests;
    const batch = first?.body.batch ?? 0;
    for (let index = 0; index < batch; index += 1) deliver(1);
    while (puller.take() !== undefined);
    puller.refill(256);
    assert.equal(requests.length, 2);
    end(first, 409, "Batch Completed");
    puller.refill(256);
    assert.equal(requests.length, 2);
  });

  it("never asks for more bytes than it has room for", () => {
    const { puller, requests, deliver, end } = setup();
    puller.refill(256);
    deliver(400_000);
    end(requests[0], 408, "Request Timeout");
    puller.refill(256);
    assert.equal(requests.length, 2);
    assert.ok((requests[1]?.body.max_bytes ?? Infinity) <= maxBytes - 400_000);
  });

  it("asks for a message larger than all its room by itself, once it holds nothing", () => {
    const { puller, requests, deliver, end } = setup();
    puller.refill(256);
    deliver(10);
    end(requests[0], 409, "Message Size Exceeds MaxBytes");
    puller.refill(256);
    assert.equal(requests.length, 1);
    puller.take();
    puller.refill(256);
    assert.equal(requests.length, 2);
    assert.deepEqual([requests[1]?.body.batch, requests[1]?.body.max_bytes], [1, undefined]);
    deliver(5_000_000);
    puller.refill(256);
    assert.equal(requests.length, 2);
    assert.equal(puller.take()?.data.length, 5_000_000);
    puller.refill(256);
    assert.equal(requests.length, 3);
    assert.ok((requests[2]?.body.batch ?? 0) > 1);
  });

  it("asks for nothing while it may not, and is lost when nobody answers", () => {
    const { puller, requests, end } = setup();
    puller.refill(0);
    assert.equal(requests.length, 0);
    assert.equal(puller.isLost(), false);
    puller.refill(256);
    end(requests[0], 503, "No Responders");
    assert.equal(puller.isLost(), true);
    puller.refill(256);
    assert.equal(requests.length, 1);
  });

  it("is lost when its consumer is deleted", () => {
    const { puller, requests, end } = setup();
    puller.refill(256);
    end(requests[0], 409, "Consumer Deleted");
    assert.equal(puller.isLost(), true);
  });

  it("asks again when a request was used up to the last byte, which the server does not tell", () => {
    const { puller, requests, deliver } = setup();
    puller.refill(256);
    deliver(maxBytes / 4);
    deliver((maxBytes * 3) / 4);
    while (puller.take() !== undefined);
    puller.refill(256);
    assert.equal(requests.length, 2);
  });

  it("keeps what has arrived when it asks anew, also what comes late to the old place", () => {
    const { puller, requests, deliver, end } = setup();
    puller.refill(256);
    deliver(1);
    puller.askAnew();
    puller.refill(256);
    assert.equal(requests.length, 2);
    assert.notEqual(requests[0]?.reply, requests[1]?.reply);
    deliver(2);
    end(requests[0], 408, "Request Timeout");
    puller.refill(256);
    assert.equal(requests.length, 2);
    assert.deepEqual(
      puller.waiting.map(({ data }) => data.length),
      [1, 2],
    );
  });

  it("asks for no more than it is told", () => {
    const { puller, requests } = setup();
    puller.refill(3);
    assert.equal(requests[0]?.body.batch, 3);
  });

  it("counts what has arrived, taken or not, so that what was lost on its way shows", () => {
    const { puller, deliver } = setup();
    assert.equal(puller.heardCount(), 0);
    puller.refill(256);
    deliver(1);
    deliver(1);
    puller.take();
    puller.askAnew();
    deliver(1);
    assert.equal(puller.heardCount(), 3);
  });
});
