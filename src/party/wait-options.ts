/** For calls that may take long. */
export interface WaitOptions {
  /** Ends the wait, and what was begun for it. */
  readonly signal?: AbortSignal;
}
