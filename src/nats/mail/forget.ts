import type { Nats } from "../connection.ts";
import { subjectsIn } from "../reading.ts";
import { streams, subjects } from "../subjects.ts";

/** Removes all mail and delivery records of a session whose time is over. Safe to repeat. */
export async function forgetMail(nats: Nats, sessionId: string): Promise<void> {
  await nats.attempt("forgetting a session", () =>
    nats.jsm.streams.purge(streams.messages, { filter: subjects.mailOfSession(sessionId) }),
  );
  await nats.attempt("forgetting a session", () =>
    nats.jsm.streams.purge(streams.deliveries, { filter: subjects.deliveriesOfSession(sessionId) }),
  );
}

/** Whether a copy or a record of any message of the session is still stored. */
export async function hasMail(nats: Nats, sessionId: string): Promise<boolean> {
  const copies = await subjectsIn(nats, streams.messages, subjects.mailOfSession(sessionId));
  if (copies.length > 0) return true;
  const filter = subjects.deliveriesOfSession(sessionId);
  return (await subjectsIn(nats, streams.deliveries, filter)).length > 0;
}
