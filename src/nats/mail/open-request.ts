/** The one request for messages that is open at a consumer, if any. */
export interface OpenRequest {
  isOpen(): boolean;
  /** Whether it has been open for longer than this. */
  isOpenFor(ms: number): boolean;
  begin(request: {
    readonly reply: string;
    readonly batch: number;
    readonly maxBytes: number;
  }): void;
  /** A message has come; `bytes` as the server counts them. It may be one of an earlier request. */
  bring(bytes: number): void;
  /**
   * The server says at this place that a request has ended: expired, used up, or stopped at a message that does not fit.
   * False where that is an earlier one, of which it may tell late.
   */
  endAt(reply: string): boolean;
  forget(): void;
}

export function createOpenRequest(): OpenRequest {
  let reply = "";
  let begunAt = 0;
  let messages = 0;
  let bytes = 0;
  return {
    isOpen: () => messages > 0,
    isOpenFor: (ms) => messages > 0 && performance.now() - begunAt > ms,
    begin(request) {
      begunAt = performance.now();
      ({ reply, batch: messages, maxBytes: bytes } = request);
    },
    bring(size) {
      messages = Math.max(0, messages - 1);
      bytes -= size;
      // A request that is used up to the last byte ends without a word.
      if (bytes === 0) messages = 0;
    },
    endAt(place) {
      if (place !== reply) return false;
      messages = 0;
      return true;
    },
    forget() {
      messages = 0;
    },
  };
}
