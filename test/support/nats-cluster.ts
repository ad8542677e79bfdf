import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager, type JetStreamManager, type StreamInfo } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../../src/broker/nats-binary.ts";
import { freePorts, startClusterNode, type ClusterNode } from "./nats-cluster-node.ts";
import { until } from "./until.ts";

export interface NatsClusterServer {
  /** n1, n2 or n3. */
  readonly name: string;
  readonly url: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
}

/** Three real nats-servers that form one cluster; streams of three replicas survive the loss of any one. */
export interface NatsCluster extends AsyncDisposable {
  /** All three, separated by commas, as `--nats-url` takes them. */
  readonly url: string;
  readonly servers: readonly NatsClusterServer[];
  /** Resolves when the process is gone. It stays away until {@link restart}. */
  kill(name: string, signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: its connections stay open and silent. */
  pause(name: string): void;
  resume(name: string): void;
  /** Starts it again on the same ports and store, ending it by SIGTERM where it still runs; resolves when it is healthy. */
  restart(name: string): Promise<void>;
  /** Name of the server that leads the stream, once there is one. */
  leaderOf(stream: string): Promise<string>;
  /** Names of the others. */
  followersOf(stream: string): Promise<readonly string[]>;
  /** Resolves when the server leads none of these streams: another one, if it can be, does. */
  moveLeaders(
    streams: readonly string[],
    between: { readonly from: string; readonly to: string },
  ): Promise<void>;
  /** Name of the server that leads JetStream as a whole: it places streams and consumers. */
  metaLeader(): Promise<string>;
}

const names = ["n1", "n2", "n3"] as const;
const electionMs = 20_000;

/** Resolves when JetStream has a leader and takes streams of three replicas. */
export async function startNatsCluster(): Promise<NatsCluster> {
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-cluster-"));
  const ports = await freePorts(names.length * 3);
  const routes = names.map((_, index) => `nats://127.0.0.1:${ports[index * 3 + 1]}`);
  const nodes = new Map<string, ClusterNode>();
  // A test that throws away its cluster by crashing must not leave it on the machine.
  const onExit = (): void => {
    for (const node of nodes.values()) node.signal("SIGKILL");
  };
  process.once("exit", onExit);
  await using resources = new AsyncDisposableStack();
  resources.defer(async () => {
    process.off("exit", onExit);
    await Promise.all([...nodes.values()].map((node) => node.kill("SIGKILL")));
    await rm(directory, { recursive: true, force: true });
  });
  for (const [index, name] of names.entries()) {
    const [client = 0, route = 0, monitor = 0] = ports.slice(index * 3);
    const at = { name, directory: join(directory, name), client, route, monitor };
    nodes.set(name, await startClusterNode({ ...at, binaryPath: path, routes }));
  }
  await Promise.all([...nodes.values()].map((node) => node.accepting()));
  await until("the cluster takes streams", () => takesStreams(nodes), electionMs);
  const held = resources.move();
  return { ...clusterOf(nodes), [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function clusterOf(
  nodes: ReadonlyMap<string, ClusterNode>,
): Omit<NatsCluster, keyof AsyncDisposable> {
  const nodeOf = (name: string): ClusterNode => {
    const node = nodes.get(name);
    if (node === undefined) throw new Error(`the cluster has no ${name}`);
    return node;
  };
  const members = async (stream: string): Promise<{ leader: string; followers: string[] }> => {
    let found: { leader: string; followers: string[] } | undefined;
    const look = async (): Promise<boolean> => {
      const cluster = (await infoOf(nodes, stream))?.cluster;
      const leader = cluster?.leader;
      if (leader === undefined || leader === "" || !nodeOf(leader).isRunning()) return false;
      found = { leader, followers: (cluster?.replicas ?? []).map(({ name }) => name) };
      return true;
    };
    await until(`${stream} has a leader`, look, electionMs);
    if (found === undefined) throw new Error(`${stream} has no leader`);
    return found;
  };
  return {
    url: [...nodes.values()].map(({ url }) => url).join(","),
    servers: [...nodes.values()],
    kill: (name, signal = "SIGKILL") => nodeOf(name).kill(signal),
    pause: (name) => nodeOf(name).signal("SIGSTOP"),
    resume: (name) => nodeOf(name).signal("SIGCONT"),
    async restart(name) {
      await nodeOf(name).restart();
      await until(`${name} is healthy`, () => nodeOf(name).isHealthy(), electionMs);
    },
    leaderOf: async (stream) => (await members(stream)).leader,
    followersOf: async (stream) => (await members(stream)).followers,
    async moveLeaders(streams, { from, to }) {
      const placement = JSON.stringify({ placement: { preferred: to } });
      const isMoved = async (stream: string): Promise<boolean> => {
        if ((await members(stream)).leader !== from) return true;
        await stepDown(runningNode(nodes), stream, placement);
        return false;
      };
      for (const stream of streams) {
        await until(`${from} leads ${stream} no more`, () => isMoved(stream), electionMs);
      }
    },
    async metaLeader() {
      let leader: string | undefined;
      const look = async (): Promise<boolean> => {
        leader = await runningNode(nodes).metaLeader();
        return leader !== undefined && nodeOf(leader).isRunning();
      };
      await until("JetStream has a leader", look, electionMs);
      return leader ?? "";
    },
  };
}

function runningNode(nodes: ReadonlyMap<string, ClusterNode>): ClusterNode {
  const running = [...nodes.values()].find((node) => node.isRunning());
  if (running === undefined) throw new Error("no server of the cluster runs");
  return running;
}

async function infoOf(
  nodes: ReadonlyMap<string, ClusterNode>,
  stream: string,
): Promise<StreamInfo | undefined> {
  return manage(runningNode(nodes), (jsm) => jsm.streams.info(stream)).catch(() => undefined);
}

async function stepDown(node: ClusterNode, stream: string, placement: string): Promise<void> {
  const nc = await connect({ servers: node.url, reconnect: false });
  try {
    await nc.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, placement, { timeout: 2_000 });
  } finally {
    await nc.close();
  }
}

async function takesStreams(nodes: ReadonlyMap<string, ClusterNode>): Promise<boolean> {
  const name = "PROBE";
  const probe = async (jsm: JetStreamManager): Promise<boolean> => {
    await jsm.streams.add({ name, subjects: ["probe"], num_replicas: names.length });
    return jsm.streams.delete(name);
  };
  return manage(runningNode(nodes), probe).catch(() => false);
}

async function manage<T>(
  node: ClusterNode,
  act: (jsm: JetStreamManager) => Promise<T>,
): Promise<T> {
  const nc = await connect({ servers: node.url, reconnect: false });
  try {
    return await act(await jetstreamManager(nc, { timeout: 1_000, checkAPI: false }));
  } finally {
    await nc.close();
  }
}
