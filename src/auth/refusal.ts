import { RouterError } from "../domain/errors.ts";

/** `detail` says what is wrong with the credential and never quotes it. */
export function unauthenticated(detail: string): RouterError {
  return new RouterError("UNAUTHENTICATED", detail);
}
