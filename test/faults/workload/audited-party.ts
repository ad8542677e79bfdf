import { createHash } from "node:crypto";
import { Code, ConnectError, createClient, type Client, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { MessageRouter, type MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Acknowledgement, Outcome, Route } from "../audit/record.ts";
import type { Recorder } from "../audit/recorder.ts";
import { pick, type Random } from "../draws.ts";

/** Longer than a router takes to say `unavailable`, which is 2.5 s. */
const callTimeoutMs = 4_000;

export interface PartyPlace {
  readonly recorder: Recorder;
  readonly random: Random;
  /** Base URLs of the routers, each call and stream goes to one of them. */
  readonly urls: readonly string[];
  readonly sessionId: string;
  readonly partyId: string;
}

/** What one logical message is, however often it is tried. */
export interface Content {
  readonly to: readonly string[];
  readonly isBroadcast: boolean;
  readonly payload: Uint8Array;
  readonly key: string | undefined;
}

/** A party that says to the recorder all that it does and gets. It repeats nothing by itself. */
export class AuditedParty {
  readonly place: PartyPlace;
  readonly #apis: readonly Client<typeof MessageRouter>[];
  #streams: number;

  constructor(place: PartyPlace) {
    this.place = place;
    this.#streams = Math.floor(place.random() * place.urls.length);
    this.#apis = place.urls.map((url) =>
      createClient(MessageRouter, callTransport(url, place.random)),
    );
  }

  /** One attempt; it is cut after that time, as a network would. */
  async route(content: Content, cutAfterMs: number = callTimeoutMs): Promise<Route> {
    const { recorder, sessionId, partyId } = this.place;
    const { to, isBroadcast, payload, key } = content;
    const startMs = recorder.now();
    const request = {
      sessionId,
      fromParty: partyId,
      toParties: isBroadcast ? [] : [...to],
      roundNumber: 1,
      messageType: "audit",
      payload,
    };
    const { end, answer } = await outcomeOf(
      this.#api().routeMessage(request, {
        signal: AbortSignal.timeout(cutAfterMs),
        headers: key === undefined ? {} : { "idempotency-key": key },
      }),
    );
    const messageId = answer?.messageId ?? "";
    const about = { sessionId, from: partyId, to, key, hash: hashOf(payload), messageId };
    const entry: Route = { kind: "route", startMs, endMs: recorder.now(), end, ...about };
    recorder.note(entry);
    return entry;
  }

  /** Resolves with what is pending, or `undefined` when there was no answer. */
  async poll(): Promise<readonly MPCMessage[] | undefined> {
    const { recorder, sessionId, partyId } = this.place;
    const startMs = recorder.now();
    const { end, answer } = await outcomeOf(
      this.#api().getPendingMessages({ sessionId, partyId }, { timeoutMs: callTimeoutMs }),
    );
    const about = { sessionId, party: partyId };
    recorder.note({ kind: "poll", startMs, endMs: recorder.now(), end, ...about });
    for (const message of answer?.messages ?? []) this.#received(message, "poll", startMs);
    return answer?.messages;
  }

  /** Reads one stream over a connection of its own, to its end, whatever ended it. */
  async read(signal: AbortSignal, onMessage: (message: MPCMessage) => void): Promise<void> {
    const { recorder, urls, sessionId, partyId } = this.place;
    // Where one router cut it, or is away, the next one is tried.
    this.#streams += 1;
    const url = urls[this.#streams % urls.length] ?? "";
    const startMs = recorder.now();
    const sessionManager = new Http2SessionManager(url);
    const api = createClient(MessageRouter, createGrpcTransport({ baseUrl: url, sessionManager }));
    let openMs: number | undefined;
    const onHeader = (): void => void (openMs = recorder.now());
    const stream = api.subscribeMessages({ sessionId, partyId }, { signal, onHeader });
    const reading = (async () => {
      for await (const message of stream) {
        this.#received(message, "stream", startMs);
        onMessage(message);
      }
    })();
    const { end } = await outcomeOf(reading);
    const endMs = recorder.now();
    recorder.note({ kind: "stream", startMs, endMs, openMs, sessionId, party: partyId, end });
    sessionManager.abort();
  }

  async acknowledge(messageId: string, verdict: Acknowledgement["verdict"]): Promise<Outcome> {
    const { recorder, sessionId, partyId } = this.place;
    const startMs = recorder.now();
    const success = verdict === "processed";
    const errorMessage = success ? "" : verdict === "permanent" ? "permanent: no" : "busy";
    const request = { sessionId, partyId, messageId, success, errorMessage };
    const { end } = await outcomeOf(
      this.#api().acknowledgeMessage(request, { timeoutMs: callTimeoutMs }),
    );
    const about = { sessionId, party: partyId, messageId, verdict };
    recorder.note({ kind: "acknowledgement", startMs, endMs: recorder.now(), end, ...about });
    return end;
  }

  async status(messageId: string): Promise<Outcome> {
    const { recorder, sessionId } = this.place;
    const startMs = recorder.now();
    const { end, answer } = await outcomeOf(
      this.#api().getMessageStatus({ sessionId, messageId }, { timeoutMs: callTimeoutMs }),
    );
    const rows = (answer?.deliveries ?? []).map(({ partyId: party, status }) => ({
      party,
      status,
    }));
    const allAcknowledged = answer?.allAcknowledged ?? false;
    const about = { sessionId, messageId, rows, allAcknowledged };
    recorder.note({ kind: "status", startMs, endMs: recorder.now(), end, ...about });
    return end;
  }

  #api(): Client<typeof MessageRouter> {
    return pick(this.place.random, this.#apis);
  }

  #received(message: MPCMessage, way: "stream" | "poll", calledMs: number): void {
    const { recorder, partyId: party } = this.place;
    const { sessionId, fromParty: from, messageId, payload } = message;
    const about = { sessionId, party, from, messageId, hash: hashOf(payload) };
    recorder.note({ kind: "delivery", way, calledMs, atMs: recorder.now(), ...about });
  }
}

/** HTTP/1.1, of which a client may have any number of connections to a router that comes and goes. */
function callTransport(baseUrl: string, random: Random): Transport {
  return random() < 0.5
    ? createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })
    : createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false });
}

async function outcomeOf<T>(
  call: Promise<T>,
): Promise<{ readonly end: Outcome; readonly answer?: T }> {
  try {
    const answer = await call;
    return { end: { outcome: "ok" }, answer };
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [info] = error.findDetails(ErrorInfoSchema);
    const isBug = error.rawMessage === "internal error";
    if (isBug) return { end: { outcome: "refused", reason: error.rawMessage } };
    // A stream is superseded by the party's own next one.
    const isNoAnswer = error.code === Code.Unavailable || info?.reason === "SUPERSEDED";
    if (info === undefined || isNoAnswer) return { end: { outcome: "unknown" } };
    return { end: { outcome: "refused", reason: info.reason } };
  }
}

function hashOf(payload: Uint8Array): string {
  return createHash("sha256").update(payload).digest("hex").slice(0, 16);
}
