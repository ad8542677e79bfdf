import { ofKind, type Ledger } from "../ledger.ts";
import { at } from "./content.ts";

const ends: ReadonlySet<string> = new Set(["completed", "failed", "expired"]);

export function* notEnded({ entries }: Ledger): Generator<string> {
  for (const { sessionId, status, terminalEvents } of ofKind(entries, "session")) {
    if (!ends.has(status)) yield `session ${sessionId} is ${status}`;
    const wrong = terminalEvents.filter((eventId) => !eventId.includes(`session_${status}`));
    if (terminalEvents.length !== 1 || wrong.length > 0) {
      yield `session ${sessionId} has ${status}, and its events say [${terminalEvents.join(", ")}]`;
    }
  }
}

export function* refusedCalls({ entries }: Ledger): Generator<string> {
  for (const entry of entries) {
    if (!("end" in entry) || entry.end.outcome !== "refused") continue;
    const { kind, sessionId, endMs, end } = entry;
    yield `${kind} in ${sessionId} was refused at ${at(endMs)}: ${end.reason}`;
  }
}
