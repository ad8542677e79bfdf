import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter, type MPCMessage } from "../../../gen/mpc/router/v1/message_router_pb.js";
import type { Nats } from "../../../src/nats/connection.ts";
import { streams, subjects } from "../../../src/nats/subjects.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsCluster, type NatsCluster } from "../../support/nats-cluster.ts";
import {
  openSession,
  type Reader,
  type TestSession,
  type TestSessionOptions,
} from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { connect } from "../mail/mail-room.ts";
import { sceneOf, type RouterClient, type Scene } from "../mail/two-routers.ts";

/** Two routers on three NATS servers. */
export interface ClusterRouters extends AsyncDisposable {
  readonly cluster: NatsCluster;
  /** A connection of the test, past both routers. */
  readonly nats: Nats;
  readonly one: RouterClient;
  readonly other: RouterClient;
  session(options?: TestSessionOptions): Promise<Scene>;
}

export async function startClusterRouters(flags: readonly string[] = []): Promise<ClusterRouters> {
  await using resources = new AsyncDisposableStack();
  const cluster = resources.use(await startNatsCluster());
  const [one, other] = [
    resources.use(await startTestRouter(cluster.url, flags)),
    resources.use(await startTestRouter(cluster.url, flags)),
  ].map(({ address }) => createGrpcTransport({ baseUrl: `http://127.0.0.1:${address.port}` }));
  if (one === undefined || other === undefined) throw new Error("two routers were started");
  const nats = resources.use(await connect(cluster));
  const router = createClient(MessageRouter, one);
  const coordinator = createClient(SessionCoordinator, one);
  const held = resources.move();
  return {
    cluster,
    nats,
    one: router,
    other: createClient(MessageRouter, other),
    async session(options) {
      let session: TestSession | undefined;
      // The fault of the test before may not be over: an election answers `unavailable`. Each try has ids of its own.
      const open = async (): Promise<boolean> => {
        session = await openSession({ router, coordinator }, options).catch(passing);
        return session !== undefined;
      };
      await until("a session is open", open, 30_000);
      if (session === undefined) throw new Error("no session was opened");
      return sceneOf(session, router);
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Anything but an outage is thrown on. */
function passing(error: unknown): undefined {
  if (ConnectError.from(error).code !== Code.Unavailable) throw error;
}

/** The consumer of a mailbox's open stream, and the server that holds it. */
export async function consumerOf(
  { nats }: ClusterRouters,
  { sessionId, b: partyId }: Scene,
): Promise<{ readonly name: string; readonly node: string } | undefined> {
  const filter = subjects.mailbox({ partyId, sessionId });
  for await (const { name, config, cluster } of nats.jsm.consumers.list(streams.messages)) {
    if (config.filter_subject === filter) return { name, node: cluster?.leader ?? "" };
  }
  return undefined;
}

/** A server that leads nothing, once what it led has been handed over; JetStream itself is led elsewhere. */
export async function idleServer({ cluster, nats }: ClusterRouters): Promise<string> {
  const meta = await cluster.metaLeader();
  const [idle = "", preferred = ""] = cluster.servers
    .map(({ name }) => name)
    .filter((name) => name !== meta);
  for await (const { config } of nats.jsm.streams.list()) {
    const handOver = async (): Promise<boolean> => {
      if ((await cluster.leaderOf(config.name)) !== idle) return true;
      await stepDown(nats, config.name, preferred);
      return false;
    };
    await until(`${config.name} has another leader`, handOver);
  }
  return idle;
}

export async function stepDown(nats: Nats, stream: string, preferred?: string): Promise<void> {
  const placement = preferred === undefined ? {} : { placement: { preferred } };
  const subject = `$JS.API.STREAM.LEADER.STEPDOWN.${stream}`;
  await nats.nc.request(subject, JSON.stringify(placement), { timeout: 2_000 });
}

/** Routes until an answer is OK, as a party does: each try under the same key. */
export async function routeSurely(scene: Scene, through?: RouterClient): Promise<string> {
  const idempotencyKey = crypto.randomUUID();
  let messageId = "";
  const route = async (): Promise<boolean> => {
    const how = { idempotencyKey, ...(through === undefined ? {} : { through }) };
    messageId = await scene.route(how).catch(() => "");
    return messageId !== "";
  };
  await until("a message is routed", route, 30_000);
  return messageId;
}

export async function acknowledgeSurely(
  scene: Scene,
  through: RouterClient,
  messageId: string,
): Promise<void> {
  const acknowledge = (): Promise<boolean> =>
    scene.acknowledge(through, { partyId: scene.b, messageId }).then(
      () => true,
      () => false,
    );
  await until("an acknowledgement is taken", acknowledge, 30_000);
}

export const ids = (messages: readonly MPCMessage[]): readonly string[] =>
  messages.map(({ messageId }) => messageId);

export const timesOf = ({ items }: Reader<MPCMessage>, messageId: string): number =>
  items.filter((item) => item.messageId === messageId).length;
