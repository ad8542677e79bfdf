import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A TCP proxy between a party and its router that does to connections what networks do. */
export interface FlakyProxy extends AsyncDisposable {
  readonly url: string;
  /** Connections that are open. */
  readonly openCount: number;
  /** How often there was something to cut. */
  readonly cutCount: number;
  /** Ends all connections, by a reset or in the middle of whatever was under way. Returns how many there were. */
  cut(kind?: CutKind): number;
  /** From now on the connections of now carry nothing more, without a sign; new ones are fine. Returns how many. */
  deafen(): number;
  /** From now on nothing is carried, by no connection, until {@link resume}. */
  stall(): void;
  resume(): void;
}

export type CutKind = "reset" | "close";

interface Pair {
  readonly inner: Socket;
  readonly outer: Socket;
}

/** `targets`: ports on this machine; each connection goes to the next one. */
export async function startFlakyProxy(...targets: readonly number[]): Promise<FlakyProxy> {
  const pairs = new Set<Pair>();
  let isStalled = false;
  let cutCount = 0;
  let accepted = 0;
  const server = createServer((outer) => {
    const inner = connect(targets[accepted++ % targets.length] ?? 0, "127.0.0.1");
    const pair = { inner, outer };
    pairs.add(pair);
    carry(outer, inner, () => isStalled);
    carry(inner, outer, () => isStalled);
    for (const socket of [outer, inner]) {
      // What breaks on one side is told to the other below.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        pairs.delete(pair);
        outer.destroy();
        inner.destroy();
      });
      if (isStalled) socket.pause();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const all = (act: (socket: Socket) => void): void => {
    for (const { inner, outer } of pairs) [inner, outer].forEach(act);
  };
  return {
    url: `http://127.0.0.1:${port}`,
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
    stall() {
      isStalled = true;
      all((socket) => socket.pause());
    },
    resume() {
      isStalled = false;
      all((socket) => socket.resume());
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      all((socket) => socket.destroy());
      await closed;
    },
  };
}

function carry(from: Socket, to: Socket, isStalled: () => boolean): void {
  from.on("data", (chunk: Buffer) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once("drain", () => {
      if (!isStalled()) from.resume();
    });
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
