import { setTimeout as delay } from "node:timers/promises";
import type { Vault } from "../secrets/vault.ts";
import type { CoordinatorOptions, SessionLog } from "./coordinator-options.ts";
import { isForgotten } from "./session-access.ts";
import {
  eraseAll,
  secretFate,
  sessionOfSecret,
  sessionSecretKinds,
  type SessionSecretKind,
} from "./session-secrets.ts";
import type { SessionSettling } from "./session-settling.ts";
import { expired } from "./session-state.ts";
import type { SessionWriter } from "./session-writer.ts";
import { isTerminal, type StoredSession } from "./session.ts";

/** What must be done of sessions without anybody calling; each of these may run on every instance at once. */
export interface Housekeeping {
  /** Ends sessions whose time is over. */
  expireDue(): Promise<void>;
  /** Notes the events stored here, and stores those that another instance has left. */
  publishDue(): Promise<void>;
  /** Erases secrets that are due, and forgets sessions that ended 24 hours ago. */
  sweep(): Promise<void>;
  /** Does all of it, again and again, until the signal. */
  run(signal: AbortSignal): Promise<void>;
}

export type HousekeepingOptions = Pick<
  CoordinatorOptions,
  "sessions" | "secrets" | "forgetSession" | "clock" | "randomness" | "log"
> & {
  readonly writer: SessionWriter;
  readonly settling: SessionSettling;
  readonly vault: Vault;
};

/** How often sessions are looked at for their expiry and their events, in milliseconds. */
const tickMs = 250;
/** How long another instance's events may be missing before this one stores them, in milliseconds. */
const takeoverAfterMs = 1_000;
/** Instances wait differently long, up to this, so that one of them mostly has done it; in milliseconds. */
const maxStaggerMs = 400;
const sweepEveryMs = 30_000;
/** A secret without a record may be about to get one; after this it will not, in milliseconds. */
const orphanAfterMs = 60_000;
/** Sessions worked on at once. */
const parallel = 32;

export function createHousekeeping(options: HousekeepingOptions): Housekeeping & Disposable {
  const { sessions, writer, clock, log } = options;
  const staggerMs = (parseInt(options.randomness.id().slice(0, 4), 16) / 0xffff) * maxStaggerMs;
  const live = new Map<string, number>();
  const lagging = new Map<string, { readonly revision: number; readonly since: number }>();
  /** By place, when they were first met. */
  let orphans: ReadonlyMap<string, number> = new Map();

  const note = ({ record, revision }: StoredSession): void => {
    if (isTerminal(record.status)) live.delete(record.sessionId);
    else live.set(record.sessionId, record.expiresAt);
    if (record.publishedCount === record.transitions.length) lagging.delete(record.sessionId);
    else lagging.set(record.sessionId, { revision, since: performance.now() });
  };
  const off = sessions.onChange(note);
  for (const stored of sessions.all()) note(stored);

  const expireDue = async (): Promise<void> => {
    const nowMs = clock.nowMs();
    const due: string[] = [];
    for (const [sessionId, expiresAt] of live) {
      if (nowMs >= expiresAt + staggerMs) due.push(sessionId);
    }
    await inParallel(due, log, async (sessionId) => {
      const stored = await sessions.read(sessionId);
      // Nobody was there to end it for a whole day: it is only to be forgotten.
      if (stored === undefined || isForgotten(stored.record, nowMs)) live.delete(sessionId);
      else await writer.change(sessionId, expired);
    });
  };
  const publishDue = async (): Promise<void> => {
    await inParallel(writer.unmarked(), log, (sessionId) => writer.markPublished(sessionId));
    const before = performance.now() - takeoverAfterMs - staggerMs;
    const late = [...lagging].filter(([, { since }]) => since <= before);
    await inParallel(late, log, async ([sessionId, { revision }]) => {
      if ((await sessions.read(sessionId))?.revision !== revision) lagging.delete(sessionId);
      else await writer.takeOver(sessionId);
    });
  };
  const sweep = async (): Promise<void> => {
    orphans = await sweepSecrets(options, orphans);
    await forgetEnded(options);
  };
  return {
    expireDue,
    publishDue,
    sweep,
    async run(signal) {
      const again = { signal, log };
      await Promise.all([
        repeat(expireDue, { ...again, everyMs: tickMs }),
        repeat(publishDue, { ...again, everyMs: tickMs }),
        repeat(sweep, { ...again, everyMs: sweepEveryMs + staggerMs }),
      ]);
    },
    [Symbol.dispose]: off,
  };
}

async function sweepSecrets(
  { sessions, secrets, vault, clock, log }: HousekeepingOptions,
  orphans: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const stillOrphans = new Map<string, number>();
  const sweepOne = async (kind: SessionSecretKind, id: string): Promise<void> => {
    const record = (await sessions.read(sessionOfSecret(id)))?.record;
    const nowMs = clock.nowMs();
    const fate = secretFate({ kind, id }, record, nowMs);
    const since = orphans.get(`${kind}/${id}`) ?? nowMs;
    if (fate === "orphan" && nowMs < since + orphanAfterMs) {
      stillOrphans.set(`${kind}/${id}`, since);
    } else if (fate !== "needed") {
      await vault.erase(kind, id);
    }
  };
  for (const kind of sessionSecretKinds) {
    await inParallel(await secrets.ids(kind), log, (id) => sweepOne(kind, id));
  }
  return stillOrphans;
}

/** What other rooms hold of a session goes before its record does: the record is what the next try finds it by. */
async function forgetEnded(options: HousekeepingOptions): Promise<void> {
  const { sessions, settling, vault, forgetSession, clock, log } = options;
  const nowMs = clock.nowMs();
  const due = [...sessions.all()].filter(({ record }) => isForgotten(record, nowMs));
  await inParallel(due, log, async (stored) => {
    const { record, revision } = stored;
    const current = await sessions.read(record.sessionId);
    if (current !== undefined && current.revision !== revision) return;
    if (current !== undefined) {
      await forgetSession(record.sessionId);
      await eraseAll(vault, record);
    }
    await sessions.remove(stored);
    settling.forget(record.sessionId);
  });
}

interface Repetition {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly log: SessionLog;
}

async function repeat(
  work: () => Promise<void>,
  { everyMs, signal, log }: Repetition,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error: unknown) => log.warn({ err: error }, "housekeeping of sessions"));
    // An abort ends the wait, which is all there is to it.
    await delay(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}

/** One that fails is met again the next time, and keeps nobody else waiting. */
async function inParallel<T>(
  items: readonly T[],
  log: SessionLog,
  act: (item: T) => Promise<unknown>,
): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (const item of rest) {
      await act(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
  if (failures.length === 0) return;
  log.warn({ err: failures[0], failed: failures.length }, "housekeeping of sessions goes on later");
}
