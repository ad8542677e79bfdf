/** Why the router cannot have its nats-server. */
export type BrokerStartReason =
  /** Another live router works on this data directory. */
  | "DATA_DIR_IN_USE"
  /** The data directory cannot be made or written. */
  | "DATA_DIR_UNUSABLE"
  /** No place had a nats-server that works. */
  | "NO_NATS_SERVER"
  /** Somebody killed the nats-server before it served anybody. */
  | "NATS_SERVER_KILLED"
  /** The nats-server ended by itself, or did not get ready, before it served anybody. */
  | "NATS_SERVER_FAILED";

/** The message is one line for the operator; nothing is gained by a stack. */
export class BrokerStartError extends Error {
  override readonly name = "BrokerStartError";
  readonly reason: BrokerStartReason;

  constructor(reason: BrokerStartReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.reason = reason;
  }
}
