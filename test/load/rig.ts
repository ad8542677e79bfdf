import { jetstreamManager, type JetStreamManager, type StreamState } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startRouter as startRouterHere } from "../../src/compose/router.ts";
import { readInvocation } from "../../src/config/invocation.ts";
import { buckets, streams as streamNames, subjects } from "../../src/nats/subjects.ts";
import { silentLogger } from "../../src/telemetry/logger.ts";
import { startNatsServer, type NatsTestServer } from "../support/nats-server.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { until } from "../support/until.ts";
import { openChannel, type GrpcChannel } from "./grpc-channel.ts";
import { usageOf, type Usage } from "./process-usage.ts";

/** What everything is measured on: a router and a nats-server, each a process of its own, set up as the router does it. */
export interface Rig extends AsyncDisposable {
  readonly router: RouterProcess;
  readonly nats: NatsTestServer;
  /** A look past the router. */
  readonly jsm: JetStreamManager;
  /** One more connection to the router; closed with the rig, or when its user disposes it. */
  connect(): Promise<GrpcChannel>;
  /** Calls, over all connections, that were made again because the router had no broker at hand. */
  retriedCount(): number;
  usage(): Promise<RigUsage>;
}

export interface RigUsage {
  readonly router: Usage;
  readonly nats: Usage;
}

export async function startRig(routerFlags: readonly string[] = []): Promise<Rig> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  const nc = await connect({ servers: nats.url });
  resources.defer(() => nc.close());
  const args = [`--nats-url=${nats.url}`, ...routerFlags];
  const router = resources.use(await startRouter({ args }));
  const jsm = await jetstreamManager(nc);
  const channels: GrpcChannel[] = [];
  const held = resources.move();
  return {
    router,
    nats,
    jsm,
    async connect() {
      const channel = held.use(await openChannel(router.url));
      channels.push(channel);
      return channel;
    },
    retriedCount: () => channels.reduce((sum, { retriedCount }) => sum + retriedCount, 0),
    async usage() {
      const [ofRouter, ofNats] = await Promise.all([usageOf(router.pid), usageOf(nats.pid)]);
      return { router: ofRouter, nats: ofNats };
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** What lies in the store. */
export interface StoreCounts {
  readonly consumers: number;
  readonly messages: number;
  readonly deliveryRecords: number;
  readonly events: number;
  readonly sessions: number;
}

export async function countStore({ jsm }: Pick<Rig, "jsm">): Promise<StoreCounts> {
  const info = async (name: string): Promise<StreamState> => (await jsm.streams.info(name)).state;
  const messages = await info(streamNames.messages);
  return {
    consumers: messages.consumer_count,
    messages: messages.messages,
    deliveryRecords: (await info(streamNames.deliveries)).messages,
    events: (await info(streamNames.events)).messages,
    sessions: (await info(`KV_${buckets.sessions}`)).messages,
  };
}

/** Copies go some time after their acknowledgement, consumers after their stream: both within this, in milliseconds. */
const clearingMs = 15_000;

/** What is still there of messages and consumers when the router has had its time to clear them away; a line each. */
export async function leftBehind(rig: Pick<Rig, "jsm">): Promise<readonly string[]> {
  let counts = await countStore(rig);
  const isClear = async (): Promise<boolean> => {
    counts = await countStore(rig);
    return counts.consumers + counts.messages === 0;
  };
  // The counts say all there is to say about a wait in vain.
  await until("everything is cleared away", isClear, clearingMs).catch(() => undefined);
  return [
    ...(counts.consumers === 0 ? [] : [`${counts.consumers} consumers are left behind`]),
    ...(counts.messages === 0 ? [] : [`${counts.messages} messages are left behind`]),
  ];
}

/** Some minutes after a session's end its delivery records are one, in milliseconds … */
const [foldedAfterMs, purgedAfterMs] = [60_000, 300_000];
/** … and a day after it nothing is kept; and an hour, so that nothing hangs on the last minute. */
const keptMs = 25 * 3_600_000;
/** How long a router may take for either, in milliseconds. */
const housekeepingMs = 60_000;

/** What the store holds once a router has kept house on it whose clock is put forward: by minutes, and by a day. */
export async function countStoreLater(
  rig: Rig,
): Promise<{ readonly folded: StoreCounts; readonly dayLater: StoreCounts }> {
  await rig.router.kill("SIGTERM");
  let aheadMs = foldedAfterMs;
  const args = ["--listen=127.0.0.1:0", `--nats-url=${rig.nats.url}`];
  const invocation = await readInvocation(args, {});
  if (invocation.kind !== "serve") throw new Error("these flags ask for no router");
  await using resources = new AsyncDisposableStack();
  resources.use(
    await startRouterHere({
      ...invocation,
      logger: silentLogger,
      env: process.env,
      onProgress: () => undefined,
      signal: new AbortController().signal,
      clock: { nowMs: () => Date.now() + aheadMs },
    }),
  );
  let counts = await countStore(rig);
  const counted = (isDone: () => boolean) => async (): Promise<boolean> => {
    counts = await countStore(rig);
    return isDone();
  };
  const isFolded = counted(() => counts.deliveryRecords <= counts.sessions);
  const isClear = counted(() => counts.deliveryRecords + counts.events + counts.sessions === 0);
  await until("summaries are there", () => isSummarized(rig), housekeepingMs).catch(
    () => undefined,
  );
  aheadMs = purgedAfterMs;
  await until("records are folded", isFolded, housekeepingMs).catch(() => undefined);
  const folded = counts;
  aheadMs = keptMs;
  await until("ended sessions are forgotten", isClear, housekeepingMs).catch(() => undefined);
  return { folded, dayLater: counts };
}

/** Whether the records of every session have their summary. */
async function isSummarized(rig: Rig): Promise<boolean> {
  const filter = subjects.deliverySummary("*");
  const { state } = await rig.jsm.streams.info(streamNames.deliveries, { subjects_filter: filter });
  return Object.keys(state.subjects ?? {}).length >= (await countStore(rig)).sessions;
}
