/** The time, passed in so that a test can turn it. */
export interface Clock {
  /** Unix time in milliseconds. */
  nowMs(): number;
}

/** Identifiers and other randomness, passed in so that a test can foresee them. */
export interface Randomness {
  /** 128 unguessable bits as 32 hexadecimal digits. */
  id(): string;
}
