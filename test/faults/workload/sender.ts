import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { between, pick } from "../draws.ts";
import { rest } from "../rest.ts";
import type { AuditedParty, Content } from "./audited-party.ts";

/** How often a call is repeated before it is given up; faults last seconds. */
const mostTries = 60;

export interface SendingOptions {
  readonly party: AuditedParty;
  readonly peers: readonly string[];
  /** Between two messages, on average. */
  readonly pauseMs: number;
  /** Hears the id of each message that was accepted. */
  readonly onAccepted: (messageId: string) => void;
}

/** Sends one message after another until the signal fires; what is under way then is brought to its end. */
export async function sendUntil(options: SendingOptions, signal: AbortSignal): Promise<void> {
  const { party, pauseMs, onAccepted } = options;
  const { random } = party.place;
  while (!signal.aborted) {
    const content = drawContent(options);
    const messageId = await send(party, content);
    if (messageId !== "") onAccepted(messageId);
    // The answer may have been lost although it was there: then the same comes again.
    if (content.key !== undefined && random() < 0.05) await party.route(content);
    await rest(between(random, 0.4, 1.6) * pauseMs, signal);
  }
}

function drawContent({ party, peers }: SendingOptions): Content {
  const { random } = party.place;
  const isBroadcast = random() < 0.5;
  const payload = new Uint8Array(Math.floor(between(random, 32, 4_096)));
  // No two are alike, over all parties and runs.
  crypto.getRandomValues(payload);
  return {
    to: isBroadcast ? peers : [pick(random, peers)],
    isBroadcast,
    payload,
    key: random() < 0.7 ? randomUUID() : undefined,
  };
}

/** Resolves with the id; empty when it is not known whether the message was taken. */
async function send(party: AuditedParty, content: Content): Promise<string> {
  const { random } = party.place;
  const cutAfterMs = random() < 0.1 ? Math.ceil(20 * random()) : undefined;
  let { end, messageId } = await party.route(content, cutAfterMs);
  if (content.key === undefined) return messageId;
  for (let tries = 1; end.outcome === "unknown" && tries < mostTries; tries += 1) {
    // At once now and then, when the first try may still be under way.
    if (random() < 0.7) await sleep(between(random, 50, 400));
    ({ end, messageId } = await party.route(content));
  }
  return messageId;
}
