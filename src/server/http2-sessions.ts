import type { Http2Session } from "node:http2";

interface SessionState {
  /** Bytes received when the last PING went out. */
  bytesRead: number;
  awaitsAnswer: boolean;
  /** One a stream at most, so bounded by the streams of a connection. */
  readonly aliveListeners: Set<() => void>;
}

/** The open HTTP/2 connections of a server: asks each whether it lives, and ends them. */
export class Http2Sessions {
  readonly #states = new Map<Http2Session, SessionState>();

  add(session: Http2Session): void {
    this.#states.set(session, { bytesRead: 0, awaitsAnswer: false, aliveListeners: new Set() });
    session.once("close", () => this.#states.delete(session));
  }

  /** Calls the listener whenever the session answers a PING. Returns the way to stop. */
  onAlive(session: Http2Session, listener: () => void): () => void {
    const listeners = this.#states.get(session)?.aliveListeners;
    listeners?.add(listener);
    return () => listeners?.delete(listener);
  }

  /**
   * Sends each a PING, and destroys those that have neither answered the last one nor sent anything since: the answer of a
   * client that uploads over a slow line may be queued behind its data.
   */
  pingAll(): void {
    for (const [session, state] of this.#states) {
      if (session.destroyed) continue;
      const bytesRead = session.socket.bytesRead;
      if (state.awaitsAnswer && bytesRead === state.bytesRead) {
        session.destroy();
        continue;
      }
      state.bytesRead = bytesRead;
      this.#ping(session, state);
    }
  }

  /** Tells each that no further streams are taken (GOAWAY); it closes when those that are open have ended. */
  closeAll(): void {
    for (const session of this.#states.keys()) session.close();
  }

  destroyAll(): void {
    for (const session of this.#states.keys()) session.destroy();
  }

  #ping(session: Http2Session, state: SessionState): void {
    // Answers false when too many are unanswered; the sign of life is then missing all the same.
    state.awaitsAnswer = true;
    session.ping((error) => {
      if (error !== null) return;
      state.awaitsAnswer = false;
      for (const listener of state.aliveListeners) listener();
    });
  }
}
