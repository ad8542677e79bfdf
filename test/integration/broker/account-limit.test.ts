import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { startTestRouter } from "../../support/fleet.ts";
import { openSession, refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { sceneOf, type Scene } from "../mail/two-routers.ts";
import { clientsOf } from "../process/clients.ts";
import { startOtherNats } from "../process/other-nats.ts";

const maxBytes = 8 * 1_048_576;

/** A router on a NATS that lets its account store little. */
async function setup() {
  await using resources = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-account-"));
  resources.defer(() => rm(directory, { recursive: true }));
  const config = join(directory, "nats.conf");
  await writeFile(
    config,
    `jetstream { store_dir: ${directory} }
     accounts { ROUTER {
       users: [{ user: router, password: secret }]
       jetstream { max_file: ${maxBytes}, max_mem: ${maxBytes} }
     } }`,
  );
  const server = resources.use(await startOtherNats(["-c", config]));
  const router = resources.use(await startTestRouter(`nats://router:secret@${server.url}`));
  const clients = clientsOf(`http://127.0.0.1:${router.address.port}`);
  const held = resources.move();
  return { ...clients, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

const payload = new Uint8Array(200_000);

async function routeUntilFull(scene: Scene): Promise<readonly string[]> {
  const sent: string[] = [];
  for (;;) {
    const outcome = await scene.route({ payload }).catch((error: unknown) => error);
    if (typeof outcome !== "string") {
      assert.match(ConnectError.from(outcome).rawMessage, /^STORE_FULL: /);
      return sent;
    }
    sent.push(outcome);
  }
}

describe("a NATS account that may store little", () => {
  it("is filled by mail up to four fifths, and has room again once that is acknowledged", async () => {
    await using fixture = await setup();
    const { router } = fixture;
    const scene = sceneOf(await openSession(fixture, { ready: true }), router);
    const sent = await routeUntilFull(scene);
    const takenBytes = sent.length * payload.length;
    assert.ok(takenBytes > maxBytes * 0.7 && takenBytes < maxBytes * 0.9, String(takenBytes));
    for (const messageId of sent) {
      await scene.acknowledge(router, { partyId: scene.b, messageId });
    }
    await until("there is room", async () => (await scene.route().catch(() => "")) !== "");
  });

  it("refuses a keyed call without keeping its key", async () => {
    await using fixture = await setup();
    const { router } = fixture;
    const scene = sceneOf(await openSession(fixture, { ready: true }), router);
    const idempotencyKey = crypto.randomUUID();
    const sent = await routeUntilFull(scene);
    const refused = scene.route({ payload, idempotencyKey });
    await refuses(refused, Code.ResourceExhausted, "STORE_FULL");
    for (const messageId of sent) {
      await scene.acknowledge(router, { partyId: scene.b, messageId });
    }
    const other = new Uint8Array([2]);
    const route = (): Promise<string> => scene.route({ payload: other, idempotencyKey });
    await until("there is room", async () => (await route().catch(() => "")) !== "");
    assert.equal((await scene.pending(router, scene.b)).length, 1);
  });
});
