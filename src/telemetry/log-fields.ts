/**
 * What a line may hold, by name: ids, counts, places and causes. Payloads, tokens, shares and contacts have no name here,
 * so that one which is handed to the logger by mistake is not written.
 */
const allowed: ReadonlySet<string> = new Set([
  // Whom and what it is about.
  "sessionId",
  "partyId",
  "messageId",
  "eventId",
  "instanceId",
  "method",
  "reason",
  "principal",
  // Where in the store.
  "stream",
  "bucket",
  "revision",
  "consumers",
  "heard",
  "last",
  "server",
  "node",
  // Where on the machine and on the network.
  "host",
  "port",
  "path",
  "dataDir",
  "pid",
  // How it went; an error is written as describeError says.
  "err",
  "code",
  "signal",
  "status",
  "count",
  "failed",
  "resealed",
  "tries",
  "limitMs",
  "delayMs",
  "tookMs",
  "usedBytes",
  "maxBytes",
  "complaint",
  "keyId",
  "developmentKeyId",
]);

/** Errors within errors are followed this far. */
const maxCauses = 5;

/** The fields that may be written; of the others only the names. */
export function allowedFields(fields: object): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  const dropped: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    if (allowed.has(name)) written[name] = value;
    else dropped.push(name);
  }
  return dropped.length === 0 ? written : { ...written, dropped };
}

/** Kind, text and place of an error and of its causes, and nothing else that may hang on it. */
export function describeError(error: unknown): object {
  const messages: string[] = [];
  let cause = error;
  while (cause instanceof Error && messages.length < maxCauses) {
    messages.push(messageOf(cause));
    cause = cause.cause;
  }
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, reason } = error as { readonly code?: unknown; readonly reason?: unknown };
  return {
    type: error.name,
    message: messages.join(": "),
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    ...(typeof reason === "string" ? { reason } : {}),
    stack: framesOf(error),
  };
}

/** Parsers of the runtime quote what they were given. */
function messageOf(error: Error): string {
  return error instanceof SyntaxError ? "the text cannot be parsed" : error.message;
}

/** A stack begins with the text of its error, which is left to {@link messageOf}. */
function framesOf({ stack = "" }: Error): string {
  return stack
    .split("\n")
    .filter((line) => line.startsWith("    at "))
    .join("\n");
}
