/** Why the router cannot start, in one line for the operator; nothing is gained by a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}
