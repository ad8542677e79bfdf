import type { Http2Session, ServerHttp2Stream } from "node:http2";

interface Start {
  readonly stream: ServerHttp2Stream;
  readonly start: () => void;
}

/** Calls of one connection that are started in one turn of the event loop: some milliseconds of work. */
const startsPerTurn = 16;

/**
 * Starts the calls that come over HTTP/2, those of each connection a few at a time: however many one of them sends at once,
 * the others are served in between. What is cancelled before its turn is never started, and costs next to nothing.
 */
export class FairStarts {
  /** Bounded by the streams that a connection may have open. */
  readonly #waiting = new Map<Http2Session, Start[]>();
  #isScheduled = false;

  add(stream: ServerHttp2Stream, start: () => void): void {
    const { session } = stream;
    if (session === undefined) return;
    const queue = this.#waiting.get(session);
    if (queue === undefined) this.#waiting.set(session, [{ stream, start }]);
    else queue.push({ stream, start });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    for (const [session, queue] of this.#waiting) {
      const alive = queue.filter(({ stream }) => !stream.closed && !stream.destroyed);
      for (const { start } of alive.splice(0, startsPerTurn)) start();
      if (alive.length === 0) this.#waiting.delete(session);
      else this.#waiting.set(session, alive);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }
}
