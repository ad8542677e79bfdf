import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { toJsonString } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { SessionEventSchema } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter, type RouterProcess } from "../../support/router.ts";
import { read } from "../../support/sessions.ts";
import { clientsOf } from "../process/clients.ts";
import { byteCanary, found, foundInFiles, randomText, textCanary } from "./canaries.ts";

const publicKey = new Uint8Array(33).fill(2);

/** Everything that must stay where it belongs, made anew for each run. */
function makeSecrets() {
  const outsideTokens = {
    p0: `t0-${randomText()}`,
    p1: `t1-${randomText()}`,
    d: `td-${randomText()}`,
  };
  return {
    outsideTokens,
    email: `${randomText()}@example.org`,
    phone: `+49${BigInt(`0x${randomBytes(5).toString("hex")}`)
      .toString()
      .padStart(12, "7")
      .slice(0, 12)}`,
    pushToken: randomText(),
    payload: randomBytes(200),
    lentShare: randomBytes(200),
    submittedShare: randomBytes(200),
    bearer: `${randomText()}.${randomText()}.${randomText()}`,
    refusedText: randomText(),
  };
}

type Secrets = ReturnType<typeof makeSecrets>;

/** Parties with contacts, roles as their names say. */
async function register(running: RouterProcess, secrets: Secrets): Promise<void> {
  const { router } = clientsOf(running.url);
  const { email, phone, pushToken } = secrets;
  for (const partyId of ["p0", "p1", "d"]) {
    const partyRole = partyId === "d" ? "delegate" : "persistent";
    const notification = partyId === "p0" ? { email, phone, pushToken } : {};
    await router.registerParty({ partyId, partyRole, notification });
  }
}

/** A keygen of an outside coordinator with a delegate, up to its end; resolves with its id. */
async function keygen(running: RouterProcess, secrets: Secrets): Promise<string> {
  const { router, coordinator } = clientsOf(running.url);
  const headers = { authorization: `Bearer ${secrets.bearer}` };
  const sessionId = "keygen-1";
  const parties = ["p0", "p1", "d"];
  await router.publishSessionEvent({
    event: {
      eventType: "session_created",
      sessionId,
      thresholdN: 3,
      thresholdT: 2,
      selectedParties: parties,
      joinTokens: secrets.outsideTokens,
      expiresAt: BigInt(Date.now() + 600_000),
    },
  });
  for (const partyId of parties) {
    const joinToken = secrets.outsideTokens[partyId as "p0"];
    await router.joinSession({ sessionId, partyId, joinToken }, { headers });
    await router.markPartyReady({ sessionId, partyId });
  }
  await router.routeMessage({ sessionId, fromParty: "p0", payload: secrets.payload });
  const { submittedShare: encryptedShare } = secrets;
  const share = { sessionId, partyId: "d", publicKey, encryptedShare };
  await router.submitDelegateShare({ ...share, partyIndex: 2 });
  for (const partyId of parties) await router.reportCompletion({ sessionId, partyId, publicKey });
  await coordinator.takeDelegateShare({ sessionId, takeId: "take" });
  return sessionId;
}

/** A signing for which the user lends its share; resolves with the tokens the coordinator derived. */
async function sign(
  running: RouterProcess,
  secrets: Secrets,
  keygenSessionId: string,
): Promise<Readonly<Record<string, string>>> {
  const { coordinator } = clientsOf(running.url);
  const { joinTokens } = await coordinator.createSession({
    sessionType: "sign",
    thresholdN: 3,
    thresholdT: 2,
    selectedParties: ["p0", "d"],
    messageHash: new Uint8Array(32).fill(1),
    keygenSessionId,
    delegateUserShare: { delegatePartyId: "d", encryptedShare: secrets.lentShare, partyIndex: 2 },
  });
  return joinTokens;
}

/** Calls that are refused, with secrets where they can be; resolves with all that was answered. */
async function provoke(
  running: RouterProcess,
  secrets: Secrets,
  sessionId: string,
): Promise<string> {
  const { router } = clientsOf(running.url);
  const refused = [
    router.joinSession({ sessionId: "none", partyId: "p0", joinToken: secrets.outsideTokens.p0 }),
    router.joinSession({ sessionId, partyId: "p0", joinToken: secrets.outsideTokens.p1 }),
    router.registerParty({
      partyId: "p9",
      partyRole: "temporary",
      notification: { email: secrets.refusedText },
    }),
    router.registerParty({
      partyId: "p9",
      partyRole: "temporary",
      notification: { phone: secrets.refusedText },
    }),
    router.submitDelegateShare({
      sessionId,
      partyId: "p0",
      encryptedShare: secrets.submittedShare,
    }),
    router.routeMessage({ sessionId, fromParty: "p0", payload: secrets.payload }),
    router.routeMessage({ sessionId, fromParty: "*", payload: secrets.payload }),
  ];
  const texts = await Promise.all(
    refused.map((call) =>
      call.then(
        () => assert.fail("a call that should be refused is answered OK"),
        (error: unknown) => ConnectError.from(error).message,
      ),
    ),
  );
  for (const body of malformed(secrets)) {
    const response = await fetch(`${running.url}/mpc.router.v1.MessageRouter/JoinSession`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${secrets.bearer}` },
      body,
    });
    assert.ok(response.status >= 400 && response.status < 500, String(response.status));
    texts.push(await response.text());
  }
  return texts.join("\n");
}

/** JSON that a parser would quote in its complaint. */
function malformed({ outsideTokens: { p0 } }: Secrets): readonly string[] {
  return [
    `{"join_token":"${p0}`,
    `{"join_token":${p0}}`,
    `{"${p0}":1}`,
    `{"join_token":{"x":"${p0}"}}`,
    `{"session_id":"x","party_id":"p0","join_token":"${p0}","device_info":"${p0}"}`,
    p0,
  ];
}

async function startSealed(): Promise<RouterProcess & { readonly keyDirectory: string }> {
  const keyDirectory = await mkdtemp(join(tmpdir(), "mpc-router-canary-"));
  const keyFile = join(keyDirectory, "seal.keys");
  await writeFile(keyFile, `${randomBytes(32).toString("base64")}\n`);
  const running = await startRouter({ args: [`--seal-key-file=${keyFile}`, "--log-level=debug"] });
  return Object.assign(running, { keyDirectory });
}

describe("what is secret", () => {
  it("is in no log, no refusal, nobody else's events, and not in the store in clear", async () => {
    const running = await startSealed();
    try {
      const secrets = makeSecrets();
      const { router, coordinator } = clientsOf(running.url);
      await register(running, secrets);
      await using heardByP1 = read((signal) =>
        router.subscribeSessionEvents({ partyId: "p1" }, { signal }),
      );
      const keygenSessionId = await keygen(running, secrets);
      const derived = await sign(running, secrets, keygenSessionId);
      const answers = await provoke(running, secrets, keygenSessionId);
      const views = JSON.stringify(
        [
          await coordinator.getSession({ sessionId: keygenSessionId }),
          await coordinator.listSessions({}),
          await router.getSessionStatus({ sessionId: keygenSessionId }),
        ],
        (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value),
      );
      await heardByP1.atLeast(4);
      const heard = heardByP1.items
        .map((event) => toJsonString(SessionEventSchema, event))
        .join("\n");

      const inStore = [
        textCanary("outside token of p0", secrets.outsideTokens.p0),
        textCanary("outside token of d", secrets.outsideTokens.d),
        ...Object.entries(derived).map(([party, token]) =>
          textCanary(`derived token of ${party}`, token),
        ),
        textCanary("e-mail", secrets.email),
        textCanary("phone", secrets.phone),
        textCanary("push token", secrets.pushToken),
        byteCanary("lent share", secrets.lentShare),
        byteCanary("submitted share", secrets.submittedShare),
        textCanary("bearer token", secrets.bearer),
      ];
      const ofP1 = textCanary("outside token of p1", secrets.outsideTokens.p1);
      const anywhere = [
        ...inStore,
        byteCanary("payload", secrets.payload),
        textCanary("refused contact", secrets.refusedText),
      ];
      assert.deepEqual(found(anywhere, "p1's events", Buffer.from(heard)), []);
      // The same search finds what does belong there.
      assert.equal(found([ofP1], "p1's events", Buffer.from(heard)).length, 1);
      const everywhere = [...anywhere, ofP1];
      assert.deepEqual(found(everywhere, "the refusals", Buffer.from(answers)), []);
      assert.deepEqual(found(everywhere, "the views", Buffer.from(views)), []);
      await running.kill("SIGTERM");
      assert.deepEqual(found(everywhere, "the output", Buffer.from(running.output())), []);
      assert.match(running.output(), /draining/);
      assert.doesNotMatch(running.output(), /"dropped"/, "a field of the log is not on its list");
      // Payloads wait in the message stream, sealed by the parties or not, and nowhere else.
      const all = await foundInFiles(everywhere, running.dataDir, "no such path");
      assert.deepEqual(
        new Set(all.leaks.map((leak) => leak.replace(/ in .*MPC_MSG.*/, " in the mail"))),
        new Set(["payload in the mail"]),
      );
      const rest = await foundInFiles(everywhere, running.dataDir, "MPC_MSG");
      assert.deepEqual(rest.leaks, []);
      assert.ok(rest.bytes > 5_000, `only ${rest.bytes} bytes were searched`);
    } finally {
      await running[Symbol.asyncDispose]();
      await rm(running.keyDirectory, { recursive: true, force: true });
    }
  });
});
