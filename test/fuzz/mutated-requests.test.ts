import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toBinary, toJsonString, type DescMethod } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter } from "../support/router.ts";
import { openSession } from "../support/sessions.ts";
import { mutateBytes, mutateJson, randomMetadata } from "./mutations.ts";
import { createRandom, type Random } from "./random.ts";
import { randomRequest, type Known } from "./requests.ts";
import { wiresTo, type Wire, type WireAnswer } from "./wires.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_126);
const requestCount = Number(process.env["FUZZ_REQUESTS"] ?? 10_500);
const atOnce = 16;

const methods: readonly DescMethod[] = [
  MessageRouter,
  SessionCoordinator,
  SessionOperations,
].flatMap((service) => service.methods);

interface Shot {
  readonly method: DescMethod;
  readonly wire: Wire;
  readonly random: Random;
  readonly known: Known;
}

/** Makes one request of a method for a wire, proper or not, and sends it. */
function sendOne({ method, wire, random, known }: Shot): Promise<WireAnswer> {
  const request = randomRequest(method.input, random, known);
  const body =
    wire.name === "Connect JSON"
      ? Buffer.from(mutateJson(toJsonString(method.input, request), random))
      : mutateBytes(toBinary(method.input, request), random);
  return wire.send({
    path: `/${method.parent.typeName}/${method.name}`,
    isStream: method.methodKind === "server_streaming",
    body,
    metadata: randomMetadata(random),
  });
}

/** Nothing is wrong with the router or its store, so no answer may say so. */
const faulty = new Set<Code | undefined>([
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
  Code.Unavailable,
]);

function isFault({ code, httpStatus, isLeft }: WireAnswer): boolean {
  if (faulty.has(code) || (httpStatus >= 500 && code === undefined)) return true;
  return httpStatus === 0 && !isLeft;
}

describe("requests that nobody should send", () => {
  it(`are answered in order, ${requestCount} of them (FUZZ_SEED=${seed})`, async (context) => {
    await using running = await startRouter();
    const transport = createGrpcTransport({ baseUrl: running.url });
    const router = createClient(MessageRouter, transport);
    const coordinator = createClient(SessionCoordinator, transport);
    const bystanders = await openSession({ router, coordinator }, { expiresInMs: 3_600_000 });
    const [from = "", to = ""] = bystanders.parties;
    const { messageId } = await router.routeMessage({
      sessionId: bystanders.sessionId,
      fromParty: from,
      toParties: [to],
      payload: new Uint8Array([1, 2, 3]),
    });
    const target = await openSession({ router, coordinator }, { expiresInMs: 3_600_000 });
    const known: Known = {
      sessionId: target.sessionId,
      parties: target.parties as [string, ...string[]],
      messageIds: [messageId, "unknown"],
      tokens: ["wrong", ...Object.values(target.tokens)],
    };
    const wires = wiresTo(running.url);
    const faults: string[] = [];
    const answered = new Map<string, number>();
    const slowest = { tookMs: 0, method: "" };
    let started = 0;
    const work = async (): Promise<void> => {
      while (started < requestCount) {
        const number = started++;
        const random = createRandom(seed + number);
        const method = methods[number % methods.length];
        const wire = wires[Math.floor(number / methods.length) % wires.length];
        assert.ok(method !== undefined && wire !== undefined);
        const answer = await sendOne({ method, wire, random, known });
        const outcome = answer.code === undefined ? "ok" : (Code[answer.code] ?? "Ok");
        answered.set(outcome, (answered.get(outcome) ?? 0) + 1);
        if (!answer.isLeft && answer.tookMs > slowest.tookMs) {
          Object.assign(slowest, { tookMs: answer.tookMs, method: method.name });
        }
        if (isFault(answer)) {
          const { httpStatus, tookMs, text } = answer;
          const what = `${httpStatus} ${outcome} after ${Math.round(tookMs)} ms ${text.slice(0, 200)}`;
          faults.push(`#${number} ${wire.name} ${method.name}: ${what}`);
        }
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    for (const wire of wires) wire[Symbol.dispose]();

    assert.deepEqual(faults, []);
    // Requests that all fail at the first check would try nothing.
    assert.ok((answered.get("ok") ?? 0) + (answered.get("Ok") ?? 0) > requestCount / 20);
    const { messages } = await router.getPendingMessages({
      sessionId: bystanders.sessionId,
      partyId: to,
    });
    assert.deepEqual(
      messages.map((message) => message.messageId),
      [messageId],
      "the mail of a session that nobody named is as it was",
    );
    assert.equal(({} as { success?: boolean }).success, undefined);
    assert.doesNotMatch(running.output(), /"level":"error"/);
    context.diagnostic(JSON.stringify({ answered: Object.fromEntries(answered), slowest }));
  });
});
