import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A TCP proxy between a party and its router, or a router and its NATS, that does to connections what networks do. */
export interface FlakyProxy extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Connections that are open. */
  readonly openCount: number;
  /** How often there was something to cut. */
  readonly cutCount: number;
  /** Ends all connections, by a reset or in the middle of whatever was under way. Returns how many there were. */
  cut(kind?: CutKind): number;
  /** From now on the connections of now carry nothing more, without a sign; new ones are fine. Returns how many. */
  deafen(): number;
  /** From now on nothing is carried that way, by no connection, until {@link resume}. Default: neither way. */
  stall(way?: Way): void;
  resume(): void;
  /** From now on what is carried takes this long each way, in milliseconds. */
  delay(delayMs: number): void;
  /** Tells the target of all connections that nothing more comes, while it may still talk. */
  closeHalf(): void;
}

/** To the target, back from it, or both. */
export type Way = "there" | "back" | "both";

export type CutKind = "reset" | "close";

interface Pair {
  readonly inner: Socket;
  readonly outer: Socket;
}

/** `targets`: ports on this machine; each connection goes to the next one. */
export async function startFlakyProxy(...targets: readonly number[]): Promise<FlakyProxy> {
  const pairs = new Set<Pair>();
  const state: State = { stalled: undefined, delayMs: 0 };
  let cutCount = 0;
  let accepted = 0;
  const server = createServer((outer) => {
    const inner = connect(targets[accepted++ % targets.length] ?? 0, "127.0.0.1");
    const pair = { inner, outer };
    pairs.add(pair);
    carry(outer, inner, { way: "there", state });
    carry(inner, outer, { way: "back", state });
    for (const socket of [outer, inner]) {
      // What breaks on one side is told to the other below.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        pairs.delete(pair);
        outer.destroy();
        inner.destroy();
      });
    }
    pauseStalled(pair, state);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const all = (act: (socket: Socket) => void): void => {
    for (const { inner, outer } of pairs) [inner, outer].forEach(act);
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    get openCount() {
      return pairs.size;
    },
    get cutCount() {
      return cutCount;
    },
    cut(kind = "reset") {
      const count = pairs.size;
      for (const { outer } of pairs) {
        if (kind === "reset") outer.resetAndDestroy();
        else outer.destroy();
      }
      if (count > 0) cutCount++;
      return count;
    },
    deafen() {
      all((socket) => {
        socket.removeAllListeners("data");
        socket.resume();
      });
      return pairs.size;
    },
    stall(way = "both") {
      state.stalled = way;
      for (const pair of pairs) pauseStalled(pair, state);
    },
    resume() {
      state.stalled = undefined;
      all((socket) => socket.resume());
    },
    delay(delayMs) {
      state.delayMs = delayMs;
    },
    closeHalf() {
      for (const { inner } of pairs) inner.end();
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      all((socket) => socket.destroy());
      await closed;
    },
  };
}

interface State {
  stalled: Way | undefined;
  delayMs: number;
}

function isStalled({ stalled }: State, way: Way): boolean {
  return stalled === "both" || stalled === way;
}

function pauseStalled({ inner, outer }: Pair, state: State): void {
  if (isStalled(state, "there")) outer.pause();
  if (isStalled(state, "back")) inner.pause();
}

interface Carriage {
  readonly way: Way;
  readonly state: State;
}

function carry(from: Socket, to: Socket, { way, state }: Carriage): void {
  const write = (chunk: Buffer): void => {
    if (!to.writable || to.write(chunk)) return;
    from.pause();
    to.once("drain", () => {
      if (!isStalled(state, way)) from.resume();
    });
  };
  from.on("data", (chunk: Buffer) => {
    if (state.delayMs === 0) write(chunk);
    // All wait equally long, so they stay in order.
    else setTimeout(write, state.delayMs, chunk);
  });
  from.on("end", () => to.end());
}

/** The same numbers from 0 to 1 for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Disturbs at random moments, 20 to 300 ms apart, until the signal fires: cuts, and now and then a stall before one. */
export async function disturb(
  proxies: readonly FlakyProxy[],
  random: () => number,
  signal: AbortSignal,
): Promise<void> {
  const rest = (ms: number): Promise<void> =>
    sleep(ms, undefined, { signal }).catch(() => undefined);
  while (!signal.aborted) {
    await rest(20 + random() * 280);
    const proxy = proxies[Math.floor(random() * proxies.length)];
    if (signal.aborted || proxy === undefined) return;
    if (random() < 0.1) {
      proxy.stall();
      await rest(random() * 400);
      proxy.resume();
    }
    proxy.cut(random() < 0.5 ? "reset" : "close");
  }
}
