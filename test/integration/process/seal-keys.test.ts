import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { startNatsServer } from "../../support/nats-server.ts";
import { startRouter, type RouterProcess } from "../../support/router.ts";
import { openSession, type TestSession } from "../../support/sessions.ts";
import { clientsOf } from "./clients.ts";
import { startRefused } from "./refusals.ts";

const email = "alice@example.org";

interface Fixture extends AsyncDisposable {
  /** Flags of a router on the store, but for the key file. */
  readonly flags: string[];
  readonly keyFlag: string;
  /** Writes the lines into the key file. */
  write(...lines: readonly string[]): Promise<void>;
}

async function setup(): Promise<Fixture> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNatsServer());
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-keys-"));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, "seal.keys");
  const held = resources.move();
  return {
    flags: [`--nats-url=${nats.url}`],
    keyFlag: `--seal-key-file=${path}`,
    write: (...lines) => writeFile(path, `${lines.join("\n")}\n`),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function newKey(): string {
  return randomBytes(32).toString("base64");
}

/** A party with a contact. */
async function register(router: RouterProcess): Promise<void> {
  await clientsOf(router.url).router.registerParty({
    partyId: "alice",
    partyRole: "persistent",
    notification: { email },
  });
}

/** A session that one of its three parties has not joined yet, and a party with a contact. */
async function useStore(router: RouterProcess): Promise<TestSession> {
  await register(router);
  return openSession(clientsOf(router.url), { joining: 2 });
}

async function emailOfAlice(router: RouterProcess): Promise<string | undefined> {
  const { parties } = await clientsOf(router.url).router.getRegisteredParties({});
  return parties.find(({ partyId }) => partyId === "alice")?.notification?.email;
}

/** The token that the party's event carries. */
async function tokenInEvent(router: RouterProcess, partyId: string): Promise<string | undefined> {
  const events = clientsOf(router.url).router.subscribeSessionEvents({
    partyId,
    eventTypes: ["session_created"],
  });
  for await (const { joinTokens } of events) return joinTokens[partyId];
  return undefined;
}

async function assertTokensHold(router: RouterProcess, session: TestSession): Promise<void> {
  const { sessionId, parties, tokens } = session;
  for (const partyId of parties) {
    assert.equal(await tokenInEvent(router, partyId), tokens[partyId]);
    const joinToken = tokens[partyId] ?? "";
    await clientsOf(router.url).router.joinSession({ sessionId, partyId, joinToken });
  }
}

describe("the seal key file", () => {
  it("keeps join tokens and contacts over a restart", async () => {
    await using fixture = await setup();
    await fixture.write(newKey());
    const args = [...fixture.flags, fixture.keyFlag];
    await using router = await startRouter({ args });
    assert.doesNotMatch(router.output(), /note: .*key/);
    const session = await useStore(router);
    await router.restart();
    await assertTokensHold(router, session);
    assert.equal(await emailOfAlice(router), email);
  });

  it("opens what an earlier key sealed, and seals contacts anew under the first", async () => {
    await using fixture = await setup();
    const [older, newer] = [newKey(), newKey()];
    await fixture.write(older);
    const args = [...fixture.flags, fixture.keyFlag];
    await using router = await startRouter({ args });
    const session = await useStore(router);

    await fixture.write(newer, older);
    await router.restart();
    assert.match(router.output(), /"resealed":1,.*"msg":"sealed secrets anew"/);
    assert.doesNotMatch(router.output(), /nothing uses key/);
    await assertTokensHold(router, session);
    assert.equal(await emailOfAlice(router), email);

    await fixture.write(newer);
    await router.restart();
    assert.equal(await emailOfAlice(router), email);
    assert.match(router.output(), /note: what is under key [0-9a-f]{16} cannot be opened/);
  });

  it("has a key less to keep, by the router's word, when nothing uses it any more", async () => {
    await using fixture = await setup();
    const [older, newer] = [newKey(), newKey()];
    await fixture.write(older);
    await using router = await startRouter({ args: [...fixture.flags, fixture.keyFlag] });
    await register(router);
    await fixture.write(newer, older);
    await router.restart();
    const [, keyId] = /nothing uses key ([0-9a-f]{16}) of the seal key/.exec(router.output()) ?? [];
    assert.ok(keyId, router.output());
    await fixture.write(newer);
    await router.restart();
    assert.equal(await emailOfAlice(router), email);
    assert.doesNotMatch(router.output(), /cannot be opened/);
  });

  it("is needed again once it was used", async () => {
    await using fixture = await setup();
    const key = newKey();
    await fixture.write(key);
    const args = [...fixture.flags, fixture.keyFlag];
    await using router = await startRouter({ args });
    const session = await useStore(router);
    await router.kill("SIGTERM");
    const refused = await startRefused(fixture.flags);
    assert.equal(refused.code, 1);
    assert.match(
      refused.message,
      /^--seal-key-file is not given, and this message store needs its key [0-9a-f]{16}$/,
    );
    await router.restart();
    await assertTokensHold(router, session);
  });

  it("takes over from the key of a store that had none, which is needed no more in the end", async () => {
    await using fixture = await setup();
    const args = [...fixture.flags];
    await using router = await startRouter({ args });
    assert.match(router.output(), /note: no --seal-key-file: /);
    const session = await useStore(router);
    await fixture.write(newKey());
    args.push(fixture.keyFlag);
    await router.restart();
    await assertTokensHold(router, session);
    assert.equal(await emailOfAlice(router), email);
    await router.kill("SIGTERM");
    const refused = await startRefused(fixture.flags);
    assert.match(
      refused.message,
      /^--seal-key-file: a seal key file was used with this message store/,
    );
  });

  for (const [wrong, content] of [
    ["has a key that is none", `${newKey()}\nhunter2-${newKey()}`],
    ["has a key too short", randomBytes(31).toString("base64")],
    ["has the same key twice", Array(2).fill(newKey()).join("\n")],
    ["has no key", "# later"],
  ] as const) {
    it(`is refused with exit code 78 when it ${wrong}, and is not quoted`, async () => {
      await using fixture = await setup();
      await fixture.write(content);
      const refused = await startRefused([...fixture.flags, fixture.keyFlag]);
      assert.equal(refused.code, 78);
      assert.match(refused.message, /^these settings are wrong:\n {2}--seal-key-file: [^\n]+$/);
      for (const line of content.split("\n")) assert.ok(!refused.message.includes(line));
    });
  }
});
