import { ofKind, type Ledger } from "../ledger.ts";

export function* sentTwice({ sendings, entries }: Ledger): Generator<string> {
  const delivered = Map.groupBy(ofKind(entries, "delivery"), ({ hash }) => hash);
  for (const { hash, from, answeredIds } of sendings.values()) {
    const ids = new Set(answeredIds);
    for (const { messageId } of delivered.get(hash) ?? []) ids.add(messageId);
    if (ids.size > 1) yield `content ${hash} of ${from} is the messages ${[...ids].join(", ")}`;
  }
}

export function* leaked({ sendings, entries }: Ledger): Generator<string> {
  for (const { hash, party, sessionId, messageId, atMs } of ofKind(entries, "delivery")) {
    const sending = sendings.get(hash);
    if (sending === undefined) continue;
    if (sending.sessionId === sessionId && sending.to.includes(party)) continue;
    yield `${messageId} for ${sending.to.join(", ")} in ${sending.sessionId} came to ${party} in ${sessionId} at ${at(atMs)}`;
  }
}

export function* altered({ sendings, entries }: Ledger): Generator<string> {
  const hashes = new Map<string, string>();
  for (const { hash, from, party, messageId, atMs } of ofKind(entries, "delivery")) {
    const sending = sendings.get(hash);
    const said = `${messageId} came to ${party} at ${at(atMs)}`;
    if (sending === undefined) yield `${said} with a content that nobody sent`;
    else if (sending.from !== from) yield `${said} as of ${from}, and is of ${sending.from}`;
    const before = hashes.get(messageId);
    if (before !== undefined && before !== hash) yield `${said} with another content than before`;
    hashes.set(messageId, hash);
  }
}

/** A time of the record, to be read. */
export function at(ms: number): string {
  return `${Math.round(ms)} ms`;
}
