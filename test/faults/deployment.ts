import { setTimeout as sleep } from "node:timers/promises";
import { buckets, streams } from "../../src/nats/subjects.ts";
import { startNatsCluster, type NatsCluster } from "../support/nats-cluster.ts";
import { startNatsServer, type NatsTestServer } from "../support/nats-server.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { until } from "../support/until.ts";
import type { Recorder } from "./audit/recorder.ts";
import { between, pick, type Random } from "./draws.ts";

export const deploymentKinds = [
  "one router with its own nats-server",
  "two routers on one nats-server",
  "two routers on a cluster of three",
] as const;

export type DeploymentKind = (typeof deploymentKinds)[number];

export type FaultName =
  | "router killed"
  | "router paused"
  | "routers restarted in turn"
  | "broker killed"
  | `${ClusterRole} ${"killed" | "paused"}`;

const clusterRoles = ["leader", "follower"] as const;
type ClusterRole = (typeof clusterRoles)[number];

/** Real processes that are killed and come back. */
export interface Deployment extends AsyncDisposable {
  readonly kind: DeploymentKind;
  readonly routers: readonly RouterProcess[];
  /** What can be done to it. Resolves when everything runs again, though it may not have recovered yet. */
  readonly faults: ReadonlyMap<FaultName, () => Promise<void>>;
  /** Resolves when every router says that it is ready. */
  ready(): Promise<void>;
  /** All that the routers printed. */
  output(): string;
}

const readyMs = 30_000;
/** The next router is restarted so long after this one was ready; what deploy/ has orchestrators wait is longer. */
const minReadyMs = 2_000;
const mostAwayMs = 600;
const mostBrokerAwayMs = 4_000;
/** Of a server of the cluster: longer than the others take to elect another leader. */
const pauseMs = 20_000;

export interface DeploymentOptions {
  /** Settings of every router, as on the command line. */
  readonly flags?: readonly string[];
  readonly recorder: Recorder;
  readonly random: Random;
}

export async function startDeployment(
  kind: DeploymentKind,
  options: DeploymentOptions,
): Promise<Deployment> {
  await using resources = new AsyncDisposableStack();
  const routers: RouterProcess[] = [];
  const start = async (count: number, flags: readonly string[] = []): Promise<void> => {
    for (let index = 0; index < count; index += 1) {
      const args = [...flags, ...(options.flags ?? [])];
      routers.push(resources.use(await startRouter({ args })));
    }
  };
  let brokerFaults: Faults = [];
  if (kind === "one router with its own nats-server") {
    await start(1);
    brokerFaults = ownBrokerFaults(routers, options);
  } else if (kind === "two routers on one nats-server") {
    const nats = resources.use(await startNatsServer());
    await start(2, [`--nats-url=${nats.url}`]);
    brokerFaults = sharedBrokerFaults(nats, options);
  } else {
    const cluster = resources.use(await startNatsCluster());
    await start(2, [`--nats-url=${cluster.url}`]);
    brokerFaults = clusterFaults(cluster, options);
  }
  const held = resources.move();
  return {
    kind,
    routers,
    faults: new Map([...routerFaults(routers, options), ...brokerFaults]),
    ready: () => until("every router is ready", () => areReady(routers), readyMs),
    output: () => routers.map((router) => router.output()).join("\n"),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

type Faults = readonly (readonly [FaultName, () => Promise<void>])[];

function routerFaults(routers: readonly RouterProcess[], options: DeploymentOptions): Faults {
  const { recorder, random } = options;
  const killed = async (): Promise<void> => {
    const router = pick(random, routers);
    const about = { what: "router killed", losesNewest: false };
    await recorder.fault(about, () => router.kill("SIGKILL"));
    await stayAway(options);
    await router.restart();
  };
  const paused = async (): Promise<void> => {
    const router = pick(random, routers);
    await recorder.fault({ what: "router paused", losesNewest: false }, async () => {
      router.freeze();
      await sleep(1_500);
      await stayAway(options);
      router.thaw();
    });
  };
  const restarted = async (): Promise<void> => {
    for (const router of routers) {
      const about = { what: "router restarted", losesNewest: false };
      await recorder.fault(about, () => router.restart());
      await sleep(minReadyMs);
    }
  };
  return [
    ["router killed", killed],
    ["router paused", paused],
    ["routers restarted in turn", restarted],
  ];
}

const brokerKilled = { what: "broker killed", losesNewest: true } as const;

function ownBrokerFaults(
  [router]: readonly RouterProcess[],
  { recorder }: DeploymentOptions,
): Faults {
  const killed = async (): Promise<void> => {
    const pid = await router?.natsPid();
    if (pid === undefined) throw new Error("there is no router");
    await recorder.fault(brokerKilled, async () => {
      process.kill(pid, "SIGKILL");
      // The router that runs it notices and starts another.
      const isReplaced = async (): Promise<boolean> =>
        (await router?.natsPid().catch(() => pid)) !== pid;
      await until("another nats-server runs", isReplaced);
    });
  };
  return [["broker killed", killed]];
}

function sharedBrokerFaults(nats: NatsTestServer, options: DeploymentOptions): Faults {
  const killed = async (): Promise<void> => {
    await options.recorder.fault(brokerKilled, () => nats.kill("SIGKILL"));
    // Now and then longer than a call waits for it.
    await sleep(between(options.random, 0, mostBrokerAwayMs));
    await nats.restart();
  };
  return [["broker killed", killed]];
}

function clusterFaults(cluster: NatsCluster, options: DeploymentOptions): Faults {
  const { recorder } = options;
  const nameOf = (role: ClusterRole): Promise<string> =>
    role === "leader" ? cluster.leaderOf(streams.messages) : merelyFollowing(cluster);
  const kill = async (role: ClusterRole): Promise<void> => {
    const name = await nameOf(role);
    const about = { what: `${role} killed`, losesNewest: false };
    await recorder.fault(about, () => cluster.kill(name));
    await stayAway(options);
    await cluster.restart(name);
  };
  const pause = async (role: ClusterRole): Promise<void> => {
    const name = await nameOf(role);
    await recorder.fault({ what: `${role} paused`, losesNewest: false }, async () => {
      cluster.pause(name);
      await sleep(pauseMs);
      cluster.resume(name);
    });
  };
  return clusterRoles.flatMap((role) => [
    [`${role} killed`, () => kill(role)],
    [`${role} paused`, () => pause(role)],
  ]);
}

/**
 * A follower, since the death of a leader is another fault: it leads no stream any more, nor, as two cannot both, JetStream
 * as a whole.
 */
async function merelyFollowing(cluster: NatsCluster): Promise<string> {
  const metaLeader = await cluster.metaLeader();
  const to = await cluster.leaderOf(streams.messages);
  const followers = await cluster.followersOf(streams.messages);
  const from = followers.find((name) => name !== metaLeader);
  if (from === undefined) throw new Error("the cluster has no followers");
  await cluster.moveLeaders(allStreams, { from, to });
  return from;
}

const allStreams = [
  ...Object.values(streams),
  ...Object.values(buckets).map((bucket) => `KV_${bucket}`),
];

async function stayAway({ random }: DeploymentOptions): Promise<void> {
  await sleep(between(random, 0, mostAwayMs));
}

async function areReady(routers: readonly RouterProcess[]): Promise<boolean> {
  const answers = await Promise.all(routers.map(({ url }) => isReady(url)));
  return answers.every(Boolean);
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
