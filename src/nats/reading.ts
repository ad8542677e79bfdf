import type { StoredMsg } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { callBudgetMs } from "../domain/call-budget.ts";
import type { Nats } from "./connection.ts";
import { isMessageGone, isNothingFound, isTooManyResults } from "./errors.ts";

/** An answer that has not come to its end after this, in milliseconds, is given up. */
const answerMs = callBudgetMs + 100;
/** Messages read at a time where the server refuses to give all in one answer. */
const pageMessages = 500;
const pageBytes = 8_388_608;

interface BatchQuery {
  readonly filter: string;
  /** First sequence to look at. */
  readonly fromSequence: number;
  readonly maxMessages: number;
  readonly maxBytes?: number;
}

/** The newest message of each subject that matches one of the filters, in the order of their sequences. */
export async function lastMessages(
  nats: Nats,
  stream: string,
  filters: readonly string[],
): Promise<readonly StoredMsg[]> {
  if (filters.length === 0) return [];
  try {
    return await direct(nats, stream, (callback) => ({
      multi_last: [...filters],
      batch: 1024,
      callback,
    }));
  } catch (error) {
    if (!isTooManyResults(error)) throw error;
    const found: StoredMsg[] = [];
    for (const filter of filters) {
      for await (const page of pages(nats, stream, { filter })) found.push(...page);
    }
    return found.toSorted((a, b) => a.seq - b.seq);
  }
}

/** Up to `maxMessages` messages that match, in order, from a sequence on. */
export function batch(
  nats: Nats,
  stream: string,
  query: BatchQuery,
): Promise<readonly StoredMsg[]> {
  return direct(nats, stream, (callback) => ({
    seq: query.fromSequence,
    next_by_subj: query.filter,
    batch: query.maxMessages,
    ...(query.maxBytes === undefined ? {} : { max_bytes: query.maxBytes }),
    callback,
  }));
}

export interface PagesQuery {
  readonly filter: string;
  /** First sequence to look at; default 1. */
  readonly from?: number;
  /** Read at a time. Default: 500 messages, 8 MiB. */
  readonly maxMessages?: number;
  readonly maxBytes?: number;
}

/** All messages that match, in order, page by page. */
export async function* pages(
  nats: Nats,
  stream: string,
  { filter, from = 1, maxMessages = pageMessages, maxBytes = pageBytes }: PagesQuery,
): AsyncGenerator<readonly StoredMsg[]> {
  let fromSequence = from;
  for (;;) {
    const page = await batch(nats, stream, { filter, fromSequence, maxMessages, maxBytes });
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    if (last.pending === 0) return;
    fromSequence = last.seq + 1;
  }
}

/** Subjects that hold a message now, from the leader. */
export async function subjectsIn(
  nats: Nats,
  stream: string,
  filter: string,
): Promise<readonly string[]> {
  const info = await nats.attempt("listing", () =>
    nats.jsm.streams.info(stream, { subjects_filter: filter }),
  );
  return Object.keys(info.state.subjects ?? {});
}

/** Sequence of the stream's newest message, from the leader; 0 when it never had one. */
export async function lastSequence(nats: Nats, stream: string): Promise<number> {
  const info = await nats.attempt("reading", () => nats.jsm.streams.info(stream));
  return info.state.last_seq;
}

type DirectCallback = (done: { readonly err?: Error } | null, message: StoredMsg) => void;
type DirectQuery = Parameters<Nats["jsm"]["direct"]["getBatch"]>[1] & object;

/**
 * The library's iterator form leaves its subscription behind; the callback form does so only where an answer has begun
 * and never ends, as when the connection is cut in between.
 */
function direct(
  nats: Nats,
  stream: string,
  query: (callback: DirectCallback) => object,
): Promise<readonly StoredMsg[]> {
  return nats.attempt("reading", () => {
    const found: StoredMsg[] = [];
    return new Promise<readonly StoredMsg[]>((resolve, reject) => {
      const fail = (error: unknown): void => {
        clearTimeout(timer);
        reject(error);
      };
      let answer: { stop(): void } | undefined;
      const timer = setTimeout(() => {
        fail(new errors.TimeoutError());
        answer?.stop();
      }, answerMs);
      const options = query((done, message) => {
        if (done === null) {
          found.push(message);
        } else if (done.err === undefined || isNothingFound(done.err)) {
          clearTimeout(timer);
          resolve(found);
        } else {
          fail(done.err);
        }
      });
      const asked = nats.jsm.direct.getBatch(stream, options as DirectQuery);
      asked.then((begun) => void (answer = begun)).catch(fail);
    });
  });
}

/** The newest message of one subject, or of all that match, from the leader. */
export async function leaderMessage(
  nats: Nats,
  stream: string,
  subject: string,
): Promise<StoredMsg | undefined> {
  const found = await nats.attempt("reading", async () => {
    try {
      return await nats.jsm.streams.getMessage(stream, { last_by_subj: subject });
    } catch (error) {
      if (isMessageGone(error)) return null;
      throw error;
    }
  });
  return found ?? undefined;
}
