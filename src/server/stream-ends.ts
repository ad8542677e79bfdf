import type { ServerResponse } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { http2StreamOf } from "./peers.ts";

/** To take a stream over costs a server some milliseconds of its processor, more while its code is cold. */
const apartMs = 20;
/** A drain has time for no more than this, in milliseconds, so that many streams end closer together. */
const maxSpreadMs = 4_000;
const tickMs = 50;

/** Tells the open streams of a server that drains to end. */
export class StreamEnds {
  readonly #open = new Set<AbortController>();
  #isDraining = false;

  /** Aborts when the stream that is this answer is to end; at once where that is begun. */
  signalFor(response: ServerResponse): AbortSignal {
    const end = new AbortController();
    if (this.#isDraining) end.abort();
    else if (!isOver(response)) {
      this.#open.add(end);
      response.once("close", () => this.#open.delete(end));
    }
    return end.signal;
  }

  /**
   * Ends all at once where their clients have to wait anyhow; else one after the other, so that they do not wait for each
   * other where they go. Streams that come later end at once.
   */
  async endAll(hasSuccessor: () => Promise<boolean>): Promise<void> {
    this.#isDraining = true;
    const isSpread = this.#open.size > 1 && (await hasSuccessor());
    const spreadMs = isSpread ? Math.min(maxSpreadMs, this.#open.size * apartMs) : 0;
    const perTick = Math.ceil((this.#open.size * tickMs) / Math.max(spreadMs, tickMs));
    while (this.#open.size > 0) {
      for (const end of [...this.#open].slice(0, perTick)) {
        this.#open.delete(end);
        end.abort();
      }
      if (this.#open.size > 0) await pause(tickMs);
    }
  }
}

/** Its client has left, and of that nothing more will be heard. */
function isOver(response: ServerResponse): boolean {
  const stream = http2StreamOf(response);
  return stream === undefined ? response.destroyed : stream.closed || stream.destroyed;
}
