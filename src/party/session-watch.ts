import { Code } from "@connectrpc/connect";
import { PartyError, partyErrorOf } from "./party-error.ts";
import { orAborted, pause } from "./pause.ts";

/** How long an event may be missing before the router is asked for the session's status instead. */
const missingEventMs = 2_000;

/** First pause between questions when no events come in. */
const firstQuestionMs = 200;

export type SessionStatus = "created" | "in_progress" | "completed" | "failed" | "expired";

/** How a session ended. */
export interface SessionEnd {
  readonly status: "completed" | "failed" | "expired";
}

const endReasons: Readonly<Record<SessionEnd["status"], string>> = {
  completed: "SESSION_COMPLETED",
  failed: "SESSION_FAILED",
  expired: "SESSION_EXPIRED",
};

const statusOfReason: ReadonlyMap<string, SessionEnd["status"]> = new Map([
  ["SESSION_COMPLETED", "completed"],
  ["SESSION_FAILED", "failed"],
  ["SESSION_EXPIRED", "expired"],
]);

const statusOfEvent: ReadonlyMap<string, SessionStatus> = new Map([
  ["session_started", "in_progress"],
  ["session_completed", "completed"],
  ["session_failed", "failed"],
  ["session_expired", "expired"],
]);

export interface WatchOptions {
  readonly sessionId: string;
  readonly ask: (signal: AbortSignal) => Promise<string>;
  /** Whether events come in now. */
  readonly isFlowing: () => boolean;
  /** Aborts when the session is closed here. */
  readonly signal: AbortSignal;
}

/** What is known of a session's status, from whatever source, and who waits for it. */
export class SessionWatch {
  /** Resolves when the session has ended; rejects when it is closed here before. */
  readonly ended: Promise<SessionEnd>;
  readonly #options: WatchOptions;
  readonly #end = Promise.withResolvers<SessionEnd>();
  readonly #started = Promise.withResolvers<void>();
  readonly #ending = new AbortController();
  #status: SessionStatus = "created";
  #asking: Promise<void> | undefined;
  #wanted: SessionStatus = "created";
  #missedEvents = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.ended = orAborted(this.#end.promise, options.signal);
    // Nobody has to wait for the end, or for the start.
    this.ended.catch(() => undefined);
    this.#started.promise.catch(() => undefined);
  }

  get status(): SessionStatus {
    return this.#status;
  }

  /** Status changes that were learned by asking, because their events did not come. */
  get missedEvents(): number {
    return this.#missedEvents;
  }

  /** Aborts when the session has ended; the reason says how. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  hear(eventType: string): void {
    const status = statusOfEvent.get(eventType);
    if (status !== undefined) this.note(status);
  }

  /** Takes in a status; it only ever moves forward. */
  note(status: string): void {
    if (this.#ending.signal.aborted) return;
    if (status === "in_progress") {
      this.#status = status;
      this.#started.resolve();
    }
    if (status !== "completed" && status !== "failed" && status !== "expired") return;
    this.#status = status;
    const error = new PartyError(endReasons[status], "the session has ended", {
      code: Code.FailedPrecondition,
    });
    this.#started.reject(error);
    this.#ending.abort(error);
    this.#end.resolve({ status });
  }

  /** Takes in that a call was refused because the session has ended; says whether it was for that. */
  noteRefusal(error: unknown): boolean {
    const status = statusOfReason.get(partyErrorOf(error).reason);
    if (status !== undefined) this.note(status);
    return status !== undefined;
  }

  /** Resolves when the session is in progress; rejects when it has ended. */
  async started(signal: AbortSignal): Promise<void> {
    this.expect("in_progress");
    await orAborted(this.#started.promise, signal);
  }

  /** From now on the router is asked when the event of that status does not come in time. */
  expect(status: "in_progress" | "completed"): void {
    if (this.#wanted !== "completed") this.#wanted = status;
    this.#asking ??= this.#ask()
      .catch(() => undefined)
      .finally(() => (this.#asking = undefined));
  }

  async stopped(): Promise<void> {
    await this.#asking;
  }

  async #ask(): Promise<void> {
    const { ask, isFlowing, signal } = this.#options;
    for (let pauseMs = firstQuestionMs; !this.#isReached();) {
      await pause(isFlowing() ? missingEventMs : pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, missingEventMs);
      if (this.#isReached()) return;
      const status = await ask(signal);
      if (isFlowing() && status !== this.#status) this.#missedEvents++;
      this.note(status);
    }
  }

  #isReached(): boolean {
    if (this.#ending.signal.aborted) return true;
    return this.#wanted !== "completed" && this.#status === this.#wanted;
  }
}
