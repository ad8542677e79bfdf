import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import * as http2 from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { crowded } from "../../support/crowded.ts";
import {
  encodeFrame,
  flags,
  type Frame,
  frameTypes,
  headerBlock,
  postHeaders,
  RawHttp2Client,
} from "../../support/raw-http2.ts";
import { until } from "../../support/until.ts";
import { callOn, envelope } from "./test-app.ts";

const service = "/mpc.router.v1.MessageRouter";
const MIB = 1_024 * 1_024;

/** What a call of somebody else may take meanwhile, in milliseconds, on a machine that has time for it. */
const promisedMs = 500;

const headers = headerBlock(postHeaders(`${service}/Heartbeat`, "application/grpc"));
const { endHeaders, endStream } = flags;
const cancel = Buffer.from([0, 0, 0, 8]);

/** Five thousand calls, each cancelled at once. */
function rapidReset(): Buffer {
  return Buffer.concat(
    Array.from({ length: 5_000 }, (_, at) => {
      const streamId = 2 * at + 1;
      return Buffer.concat([
        encodeFrame({ type: frameTypes.headers, flags: endHeaders, streamId, payload: headers }),
        encodeFrame({ type: frameTypes.resetStream, streamId, payload: cancel }),
      ]);
    }),
  );
}

interface Flood {
  /** Sent first. */
  readonly start?: readonly Frame[];
  /** Sent again and again, until the server has had enough. */
  readonly frame: Frame;
}

const open: Frame = { type: frameTypes.headers, flags: endHeaders, streamId: 1, payload: headers };
const floods: Record<string, Flood> = {
  CONTINUATION: {
    start: [{ ...open, flags: 0 }],
    frame: { type: frameTypes.continuation, streamId: 1, payload: headerBlock([["x", "y"]]) },
  },
  "empty CONTINUATION": {
    start: [{ ...open, flags: 0 }],
    frame: { type: frameTypes.continuation, streamId: 1 },
  },
  PING: { frame: { type: frameTypes.ping, payload: Buffer.alloc(8) } },
  SETTINGS: { frame: { type: frameTypes.settings, payload: Buffer.from([0, 4, 0, 1, 0, 0]) } },
  "empty DATA": { start: [open], frame: { type: frameTypes.data, streamId: 1 } },
};

describe("while one client floods, the others are served", () => {
  it("by 5,000 calls that it cancels at once", async () => {
    await using app = await startProcess();
    await using others = await watchOthers(app);
    const client = new RawHttp2Client(app.port);
    await client.write(rapidReset());
    await others.haveMade(50);
    others.assertServed();
    client.socket.destroy();
  });

  it("by 5,000 calls that it cancels once they have begun", async () => {
    await using app = await startProcess();
    await using others = await watchOthers(app);
    const session = http2.connect(app.url);
    session.on("error", () => undefined);
    for (let round = 0; round < 5; round++) {
      const streams = Array.from({ length: 1_000 }, () =>
        session
          .request({ ":method": "POST", ":path": `${service}/Heartbeat` })
          .on("error", () => undefined),
      );
      await others.haveMade(2);
      for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
    }
    await others.haveMade(20);
    others.assertServed();
    session.destroy();
  });

  for (const [name, { start = [], frame }] of Object.entries(floods)) {
    it(`by ${name} frames without end, whether it reads the answers or not`, async () => {
      await using app = await startProcess();
      await using others = await watchOthers(app);
      const many = Buffer.concat(Array.from({ length: 1_000 }, () => encodeFrame(frame)));
      for (const reads of [true, false]) {
        const client = new RawHttp2Client(app.port);
        if (!reads) client.socket.pause();
        await client.send(...start);
        for (let sent = 0; sent < 100 && !client.socket.destroyed; sent++) await client.write(many);
        client.socket.resume();
        await until("it is closed", () => client.socket.destroyed);
      }
      await others.haveMade(10);
      others.assertServed();
      assert((await app.grownBytes()) < 32 * MIB);
    });
  }

  it("by windows that it opens bit by bit, and priorities", async () => {
    await using app = await startProcess();
    await using others = await watchOthers(app);
    for (const frame of [
      { type: frameTypes.windowUpdate, streamId: 1, payload: Buffer.from([0, 0, 0, 1]) },
      { type: frameTypes.priority, streamId: 3, payload: Buffer.from([0, 0, 0, 0, 1]) },
    ]) {
      const client = new RawHttp2Client(app.port);
      await client.send(open);
      const many = Buffer.concat(Array.from({ length: 1_000 }, () => encodeFrame(frame)));
      for (let sent = 0; sent < 50; sent++) await client.write(many);
      client.socket.destroy();
    }
    await others.haveMade(10);
    others.assertServed();
    assert((await app.grownBytes()) < 32 * MIB);
  });

  it("by 2,000 connections that say nothing, or half of something", async () => {
    await using app = await startProcess();
    await using others = await watchOthers(app);
    const starts = ["", "P", "PRI * HTTP/2.0", "POST / HTTP/1.1\r\nHost: a\r\n"];
    const sockets: Socket[] = [];
    for (let count = 0; count < 2_000; count++) {
      const socket = connect(app.port, "127.0.0.1").on("error", () => undefined);
      socket.resume().write(starts[count % starts.length] ?? "");
      sockets.push(socket);
      if (count % 100 === 0) await once(socket, "connect");
    }
    const grown = await app.grownBytes();
    assert(grown < 128 * MIB, `they take ${grown / MIB} MiB`);
    await until("all are closed", () => sockets.every(({ destroyed }) => destroyed), 20_000);
    others.assertServed();
  });

  it("by 1,000 answers that it does not take", async () => {
    await using app = await startProcess();
    await using others = await watchOthers(app);
    const client = new RawHttp2Client(app.port);
    const frames: Frame[] = [
      { type: frameTypes.settings, payload: Buffer.from([0, 4, 0, 0, 0, 0]) },
    ];
    for (let streamId = 1; streamId < 2_000; streamId += 2) {
      frames.push({ ...open, streamId });
      frames.push({ type: frameTypes.data, flags: endStream, streamId, payload: envelope("") });
    }
    await client.send(...frames);
    await others.haveMade(50);
    others.assertServed();
    client.socket.destroy();
  });
});

describe("requests that are too large", () => {
  const bomb = gzipSync(Buffer.alloc(500 * MIB));
  const large = Buffer.alloc(30 * MIB, "x");
  for (const [what, requests] of [
    [
      "half a megabyte that unpacks to 500 MB",
      [
        { headers: { "content-type": "application/json", "content-encoding": "gzip" }, body: bomb },
        {
          headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
          body: envelope(bomb, 1),
        },
      ],
    ],
    [
      "30 MB",
      [
        { headers: { "content-type": "application/json" }, body: large },
        { headers: { "content-type": "application/grpc" }, body: envelope(large) },
      ],
    ],
  ] as const) {
    it(`are refused without being held: ${what}`, async () => {
      // The bytes of 64 MB that were sent may be held until they are collected, in whatever requests they come.
      await using app = await startProcess(100);
      await using others = await watchOthers(app);
      const session = http2.connect(app.url, { maxSessionMemory: 100 });
      for (const request of [...requests, ...requests]) {
        const answer = await callOn(session, { path: `${service}/RouteMessage`, ...request });
        const said = answer.headers["grpc-message"] ?? answer.body.toString();
        assert.match(said, /PAYLOAD_TOO_LARGE/);
      }
      session.close();
      const grown = await app.grownBytes();
      assert(grown <= 32 * MIB, `took ${grown / MIB} MiB`);
      others.assertServed();
    });
  }
});

interface AppProcess extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** By how much the most memory that was resident is more than when it started to serve. */
  grownBytes(): Promise<number>;
}

async function startProcess(callsBefore = 10): Promise<AppProcess> {
  const child = fork(new URL("app-process.ts", import.meta.url));
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  const url = `http://127.0.0.1:${port}`;
  await warmUp(url, callsBefore);
  const before = await peakBytes(child.pid ?? 0);
  return {
    port,
    url,
    grownBytes: async () => (await peakBytes(child.pid ?? 0)) - before,
    async [Symbol.asyncDispose]() {
      const exited = once(child, "exit");
      child.disconnect();
      assert.deepEqual(await exited, [0, null]);
    },
  };
}

/** Calls as large as they may be, so that what a router takes anyhow is taken. */
async function warmUp(url: string, calls: number): Promise<void> {
  const session = http2.connect(url);
  for (let count = 0; count < calls; count++) {
    const answer = await callOn(session, {
      path: `${service}/RouteMessage`,
      headers: { "content-type": "application/proto" },
      // The field of the payload, 1,000,000 bytes long.
      body: Buffer.concat([Buffer.from([0x32, 0xc0, 0x84, 0x3d]), Buffer.alloc(1_000_000)]),
    });
    assert.equal(answer.status, 200);
  }
  session.close();
}

async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

interface Others extends AsyncDisposable {
  /** Fails if a call took longer than is promised, or where the machine is busy, much longer than it did before. */
  assertServed(): void;
  /** Resolves when so many more of their calls were answered. */
  haveMade(count: number): Promise<void>;
}

/** Another client, which makes one call after the other; each must be answered. */
async function watchOthers(app: AppProcess): Promise<Others> {
  const session = http2.connect(app.url);
  const stop = new AbortController();
  let [slowestMs, count] = [0, 0];
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const startedMs = performance.now();
      const answer = await callOn(session, {
        path: `${service}/Heartbeat`,
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(answer.status, 200);
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      count += 1;
      await pause(5);
    }
  };
  const watching = watch();
  const haveMade = (more: number): Promise<void> => {
    const wanted = count + more;
    return Promise.race([watching, until("calls are made", () => count >= wanted, 30_000)]);
  };
  await haveMade(20);
  const limitMs = Math.max(crowded(promisedMs), 20 * slowestMs);
  slowestMs = 0;
  return {
    assertServed() {
      assert(slowestMs <= limitMs, `a call took ${slowestMs} ms, more than ${limitMs}`);
    },
    haveMade,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
      session.close();
    },
  };
}
