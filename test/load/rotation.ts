import { Ledger } from "./ledger.ts";
import type { Rig } from "./rig.ts";
import { until } from "../support/until.ts";
import {
  completeSession,
  openSession,
  partyIds,
  registerParties,
  route,
  serve,
  type Seat,
  type Service,
} from "./seats.ts";
import type { GrpcChannel } from "./grpc-channel.ts";

export interface RotationPlan {
  /** Sessions that are under way at any time. */
  readonly sessions: number;
  readonly messagesPerSession: number;
}

const partiesPerSession = 3;
/** From what a signing round sends up to what a key generation does, in bytes. */
const payloadBytes = [256, 512, 1_024, 4_096] as const;
const connections = 4;

interface Totals {
  readonly sessions: number;
  readonly repeated: number;
  /** Streams that were cut. */
  readonly reopened: number;
  readonly hopsMs: readonly number[];
  readonly faults: readonly string[];
}

/** Sessions of which each, once it has had its messages, is completed and replaced by a new one. */
export interface Rotation {
  /** Sends the next message of the session whose turn it is. */
  sendOne(index: number): Promise<void>;
  /** Completes all that are under way. */
  end(): Promise<void>;
  totals(): Totals;
}

interface Running {
  readonly seats: readonly Seat[];
  readonly services: readonly Service[];
  readonly ledger: Ledger;
  /** Messages that are still to be begun. */
  left: number;
  /** Calls under way. */
  sending: number;
}

export async function startRotation(rig: Rig, plan: RotationPlan): Promise<Rotation> {
  const channels = await Promise.all(Array.from({ length: connections }, () => rig.connect()));
  const parties = partyIds("soak", plan.sessions * partiesPerSession);
  const hopsMs: number[] = [];
  const faults: string[] = [];
  /** Of each place; sends wait for the one that is being opened. */
  const running: Promise<Running>[] = [];
  const endings = new Set<Promise<void>>();
  let completed = 0;
  let repeated = 0;
  let reopened = 0;

  const open = async (place: number): Promise<Running> => {
    const channel = channelAt(channels, place);
    const roster = parties.slice(place * partiesPerSession, (place + 1) * partiesPerSession);
    const sessionId = await openSession(channel, { parties: roster });
    const seats = roster.map((partyId) => ({ channel, sessionId, partyId }));
    const ledger = new Ledger();
    const services = await Promise.all(seats.map((seat) => serve(seat, ledger)));
    return { seats, services, ledger, left: plan.messagesPerSession, sending: 0 };
  };
  const close = async (session: Running): Promise<void> => {
    const { seats, services, ledger } = session;
    const isDone = (): boolean => session.sending === 0 && ledger.isEven();
    await until("all is delivered", isDone, 90_000).catch(
      () => void faults.push(`${ledger.missingCount} messages of a session are lost`),
    );
    await completeSession(seats);
    completed += 1;
    repeated += ledger.repeatedCount;
    for (const { reopenedCount, refusal } of services) {
      reopened += reopenedCount;
      if (refusal !== undefined) faults.push(`a stream was ended: ${refusal}`);
    }
    // One of many says enough of them.
    hopsMs.push(...ledger.hopsMs.slice(-10));
  };

  const takeTurn = async (place: number): Promise<Running> => {
    let session = await running[place];
    while (session?.left === 0) session = await running[place];
    if (session === undefined) throw new Error("no session is there");
    session.left -= 1;
    session.sending += 1;
    if (session.left > 0) return session;
    running[place] = open(place);
    const ending = close(session).finally(() => endings.delete(ending));
    endings.add(ending);
    return session;
  };

  const [first] = channels;
  if (first !== undefined) await registerParties(first, parties);
  for (let place = 0; place < plan.sessions; place += 1) running.push(open(place));
  await Promise.all(running);

  return {
    async sendOne(index) {
      const place = index % plan.sessions;
      const session = await takeTurn(place);
      const bytes = payloadBytes[index % payloadBytes.length] ?? 0;
      const from = seatAt(session, index);
      await route(from, seatAt(session, index + 1).partyId, { bytes, ledger: session.ledger });
      session.sending -= 1;
    },
    async end() {
      await Promise.all([...endings, ...running.map(async (session) => close(await session))]);
    },
    totals: () => ({ sessions: completed, repeated, reopened, hopsMs, faults }),
  };
}

function channelAt(channels: readonly GrpcChannel[], place: number): GrpcChannel {
  const channel = channels[place % channels.length];
  if (channel === undefined) throw new Error("sessions need a connection");
  return channel;
}

function seatAt({ seats }: Running, index: number): Seat {
  const seat = seats[index % seats.length];
  if (seat === undefined) throw new Error("a session needs parties");
  return seat;
}
