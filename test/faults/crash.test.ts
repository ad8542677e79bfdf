import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { read } from "../support/sessions.ts";
import { until } from "../support/until.ts";

const ceremonyPath = fileURLToPath(new URL("../../examples/ceremony/main.ts", import.meta.url));

/** A ceremony under way; `reached` resolves when the story tells of it. */
function startCeremony(router: RouterProcess): {
  reached(word: string): Promise<void>;
  readonly exitCode: Promise<number | null>;
  output(): string;
} {
  const args = [ceremonyPath, "--url", router.url, "--pause-ms", "400", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exitCode = once(child, "close").then(([code]) => code as number | null);
  return {
    reached: (word) => until(`the ceremony reaches ${word}`, () => text.includes(word), 30_000),
    exitCode,
    output: () => text,
  };
}

/** The nats-server that the router runs: the process whose command line names the data directory. */
function natsPid({ dataDir }: RouterProcess): number {
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const commandLine = readFileSync(`/proc/${entry}/cmdline`, "utf8");
      if (commandLine.includes(`${dataDir}/nats-server.conf`)) return Number(entry);
    } catch {
      // The process has ended meanwhile.
    }
  }
  throw new Error("no nats-server runs on the data directory");
}

function clientsOf({ url }: RouterProcess): {
  router: Client<typeof MessageRouter>;
  coordinator: Client<typeof SessionCoordinator>;
} {
  const transport = createGrpcTransport({ baseUrl: url });
  return {
    router: createClient(MessageRouter, transport),
    coordinator: createClient(SessionCoordinator, transport),
  };
}

/** A session of two parties that have joined. */
async function openPair(running: RouterProcess): Promise<string> {
  const { router, coordinator } = clientsOf(running);
  for (const partyId of ["a", "b"]) {
    await router.registerParty({ partyId, partyRole: "persistent" });
  }
  const { session, joinTokens } = await coordinator.createSession({
    sessionType: "keygen",
    thresholdN: 2,
    thresholdT: 2,
    selectedParties: ["a", "b"],
  });
  const sessionId = session?.sessionId ?? "";
  for (const partyId of ["a", "b"]) {
    await router.joinSession({ sessionId, partyId, joinToken: joinTokens[partyId] ?? "" });
  }
  return sessionId;
}

for (const moment of ["keygen round 1", "keygen round 2", "sign round 1"]) {
  describe(`a crash at ${moment}`, () => {
    it("of the router leaves the ceremony to finish with the next one", async () => {
      await using router = await startRouter();
      const ceremony = startCeremony(router);
      await ceremony.reached(moment);
      assert.equal(await router.kill("SIGKILL"), "SIGKILL");
      await router.restart();
      assert.equal(await ceremony.exitCode, 0, ceremony.output());
      assert.match(ceremony.output(), /"ok":true/);
    });

    it("of the nats-server leaves the ceremony to finish with the next one", async () => {
      await using router = await startRouter();
      const ceremony = startCeremony(router);
      await ceremony.reached(moment);
      const pid = natsPid(router);
      process.kill(pid, "SIGKILL");
      assert.equal(await ceremony.exitCode, 0, ceremony.output());
      assert.match(ceremony.output(), /"ok":true/);
      assert.notEqual(natsPid(router), pid);
    });
  });
}

describe("a crash under load", () => {
  for (const victim of ["the router", "the nats-server"]) {
    it(`of ${victim} loses no accepted message and brings back no acknowledged one`, async () => {
      await using running = await startRouter();
      const sessionId = await openPair(running);
      const { router } = clientsOf(running);
      const accepted = new Set<string>();
      const acknowledged = new Map<string, number>();
      const stopping = new AbortController();
      const sending = (async () => {
        while (!stopping.signal.aborted) {
          const call = { sessionId, fromParty: "a", toParties: ["b"], payload: new Uint8Array(64) };
          // Outcome unknown while the router is away: only what was answered OK counts.
          const answer = await router.routeMessage(call).catch(() => undefined);
          if (answer !== undefined) accepted.add(answer.messageId);
        }
      })();
      const reader = read((signal) =>
        router.subscribeMessages({ sessionId, partyId: "b" }, { signal }),
      );
      await reader.atLeast(200);
      for (const { messageId } of reader.items.slice(0, 100)) {
        await router.acknowledgeMessage({ sessionId, partyId: "b", messageId, success: true });
        acknowledged.set(messageId, performance.now());
      }
      // What was acknowledged in the last tenth of a second before the broker's death may come again.
      await until("the last acknowledgement has aged", () => {
        const newest = Math.max(...acknowledged.values());
        return performance.now() - newest > 150;
      });
      if (victim === "the router") await running.kill("SIGKILL");
      else process.kill(natsPid(running), "SIGKILL");
      if (victim === "the router") await running.restart();
      const before = accepted.size;
      await until("messages are accepted again", () => accepted.size > before + 20, 20_000);
      stopping.abort();
      await sending;
      await reader[Symbol.asyncDispose]();
      await using after = read((signal) =>
        router.subscribeMessages({ sessionId, partyId: "b" }, { signal }),
      );
      const expected = [...accepted].filter((id) => !acknowledged.has(id));
      const delivered = (): ReadonlySet<string> =>
        new Set(after.items.map(({ messageId }) => messageId));
      await until("every accepted message is delivered", () => {
        const seen = delivered();
        return expected.every((id) => seen.has(id));
      });
      for (const id of acknowledged.keys()) {
        assert.ok(!delivered().has(id), `${id} was acknowledged and came again`);
      }
    });
  }
});

describe("a restart", () => {
  it("keeps registrations, sessions and mail", async () => {
    await using running = await startRouter();
    const sessionId = await openPair(running);
    const { router, coordinator } = clientsOf(running);
    const { messageId } = await router.routeMessage({ sessionId, fromParty: "a" });
    assert.equal(await running.kill("SIGTERM"), 0);
    await running.restart();
    const { parties } = await router.getRegisteredParties({});
    assert.deepEqual(
      parties.map(({ partyId }) => partyId),
      ["a", "b"],
    );
    const { session } = await coordinator.getSession({ sessionId });
    assert.equal(session?.status, "created");
    const { messages } = await router.getPendingMessages({ sessionId, partyId: "b" });
    assert.deepEqual(
      messages.map((message) => message.messageId),
      [messageId],
    );
  });
});
