import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SessionEvent } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { buckets, streams } from "../../../src/nats/subjects.ts";
import { crowded } from "../../support/crowded.ts";
import { startTestRouter } from "../../support/fleet.ts";
import { startNatsCluster, type NatsCluster } from "../../support/nats-cluster.ts";
import type { Reader } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { routerClient, subscribe, type RouterClient } from "./subscribing.ts";

interface Setup extends AsyncDisposable {
  readonly cluster: NatsCluster;
  readonly routers: readonly RouterClient[];
}

/** Two routers on a cluster of three. */
async function setup(): Promise<Setup> {
  await using resources = new AsyncDisposableStack();
  const cluster = resources.use(await startNatsCluster());
  const routers: RouterClient[] = [];
  while (routers.length < 2) {
    const { address } = resources.use(await startTestRouter(cluster.url));
    routers.push(routerClient(`http://127.0.0.1:${address.port}`));
  }
  const held = resources.move();
  return { cluster, routers, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Publishes one event after the other through the routers in turn, each until it is accepted. */
class Publishing implements AsyncDisposable {
  /** By event id: when the event was accepted. */
  readonly acceptedAt = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(routers: readonly RouterClient[]) {
    this.#running = this.#publish(routers);
  }

  async #publish(routers: readonly RouterClient[]): Promise<void> {
    for (let number = 0; !this.#stopping.signal.aborted; number += 1) {
      const eventId = `event-${number}`;
      await until("the event is accepted", () => this.#offer(routers, eventId), 20_000);
      this.acceptedAt.set(eventId, performance.now());
    }
  }

  async #offer(routers: readonly RouterClient[], eventId: string): Promise<boolean> {
    const router = routers[Math.floor(Math.random() * routers.length)];
    const event = { eventId, eventType: "custom", sessionId: "s", selectedParties: ["party-1"] };
    const answer = await router?.publishSessionEvent({ event }).catch(() => undefined);
    return answer?.success === true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

/** Event ids in the order in which they came first. */
function firsts(reader: Reader<SessionEvent>): readonly string[] {
  return [...new Set(reader.items.map(({ eventId }) => eventId))];
}

/** Two elections of nats-server, as the votes of the first may be split. */
const electedMs = 20_000;

describe("event streams on a cluster", () => {
  it("go on, without a gap and in order, when any server dies", async (test) => {
    await using env = await setup();
    const { cluster, routers } = env;
    await routers[0]?.registerParty({
      partyId: "party-1",
      partyRole: "persistent",
      version: "1",
    });
    const readers: Reader<SessionEvent>[] = [];
    await using resources = new AsyncDisposableStack();
    for (const router of routers) readers.push(resources.use(await subscribe(router, "party-1")));
    const publishing = resources.use(new Publishing(routers));
    const allHave = (count: number): boolean =>
      readers.every((reader) => firsts(reader).length >= count);
    await until("events come", () => allHave(20));
    // A publisher is told how many parties listen, so an answer waits for the presence as well.
    const leaderNames = async (): Promise<readonly string[]> => [
      await cluster.leaderOf(streams.events),
      await cluster.leaderOf(`KV_${buckets.presence}`),
      await cluster.metaLeader(),
    ];
    const atFirst = await leaderNames();
    const names = cluster.servers.map(({ name }) => name);
    // First one that leads nothing: the others may have to lead when their turn comes.
    for (const name of names.toSorted((a) => (atFirst.includes(a) ? 1 : -1))) {
      const leaders = await leaderNames();
      const isLeader = leaders.includes(name);
      const limitMs = isLeader ? electedMs : crowded(2_000);
      await cluster.kill(name);
      const diedAt = performance.now();
      const lately = (eventId: string): boolean =>
        (publishing.acceptedAt.get(eventId) ?? 0) > diedAt;
      const goOn = (): boolean => readers.every((one) => firsts(one).some(lately));
      await until(`events come again without ${name}`, goOn, limitMs);
      const gapMs = performance.now() - diedAt;
      test.diagnostic(`${name}, ${isLeader ? "a leader" : "a follower"}: ${gapMs} ms`);
      const more = publishing.acceptedAt.size + 20;
      await until("they go on", () => allHave(more), 20_000);
      await cluster.restart(name);
    }
    await publishing[Symbol.asyncDispose]();
    const accepted = [...publishing.acceptedAt.keys()];
    await until("the last one has come", () => allHave(accepted.length));
    for (const reader of readers) assert.deepEqual(firsts(reader), accepted);
  });
});
