import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isRouterError, type RouterErrorReason } from "../../../src/domain/errors.ts";
import type { Registration } from "../../../src/domain/parties/party-registry.ts";
import { open, register, startRouter, type TestInstance } from "../../support/test-instances.ts";
import { until } from "../../support/until.ts";

const none = { email: "", phone: "", pushToken: "" };
const contacts = { email: "a@example.org", phone: "+15551234567", pushToken: "push:token" };
const everybody = { role: "", onlyOnline: false };
const coordinator = { kind: "coordinator" } as const;

function registration(changes: Partial<Registration> = {}): Registration {
  return { partyId: "party-1", role: "persistent", version: "1.0", channel: none, ...changes };
}

async function refuses(attempt: Promise<unknown>, reason: RouterErrorReason): Promise<void> {
  await assert.rejects(attempt, (error) => isRouterError(error, reason));
}

async function onlineOn(instance: TestInstance): Promise<string[]> {
  const views = await instance.registry.list(open, { role: "", onlyOnline: true });
  return views.map((view) => view.party.partyId);
}

describe("party registry", () => {
  it("keeps the time of the first registration and updates the rest, on any instance", async () => {
    await using router = await startRouter();
    const first = await router.a.registry.register(open, registration());
    const second = await router.b.registry.register(
      open,
      registration({ role: "delegate", version: "2.0", channel: contacts }),
    );
    assert.equal(second.registeredAt, first.registeredAt);
    assert.ok(second.renewedAt >= first.renewedAt);
    const [view] = await router.a.registry.list(open, everybody);
    assert.deepEqual(view?.party, second);
    assert.equal(second.role, "delegate");
    assert.equal(second.offlineMode, true);
    assert.deepEqual(view?.channel, contacts);
  });

  it("keeps one time of registration when many register at once", async () => {
    await using router = await startRouter();
    const parties = await Promise.all(
      Array.from({ length: 16 }, (_, index) =>
        (index % 2 === 0 ? router.a : router.b).registry.register(open, registration()),
      ),
    );
    assert.equal(new Set(parties.map((party) => party.registeredAt)).size, 1);
  });

  it("refuses bad fields and the party of somebody else, and stores nothing", async () => {
    await using router = await startRouter();
    const { registry } = router.a;
    const bad: [Partial<Registration>, RouterErrorReason][] = [
      [{ partyId: "" }, "INVALID_ID"],
      [{ partyId: "party.1" }, "INVALID_ID"],
      [{ partyId: "x".repeat(129) }, "INVALID_ID"],
      [{ role: "" }, "INVALID_FIELD"],
      [{ role: "Persistent" }, "INVALID_FIELD"],
      [{ version: "x".repeat(257) }, "INVALID_FIELD"],
      [{ channel: { ...none, email: "nobody" } }, "INVALID_FIELD"],
      [{ channel: { ...none, phone: "555" } }, "INVALID_FIELD"],
      [{ channel: { ...none, pushToken: "a b" } }, "INVALID_FIELD"],
    ];
    for (const [changes, reason] of bad) {
      await refuses(registry.register(open, registration(changes)), reason);
    }
    const other = { kind: "party", partyId: "party-2" } as const;
    await refuses(registry.register(other, registration()), "CALLER_MISMATCH");
    await refuses(registry.register(coordinator, registration()), "CALLER_MISMATCH");
    assert.deepEqual(await registry.list(open, everybody), []);
    assert.equal(router.sessions.sealed.size, 0);
  });

  it("does not repeat a contact in a refusal", async () => {
    await using router = await startRouter();
    const channel = { ...none, email: "private person@example.org" };
    await assert.rejects(
      router.a.registry.register(open, registration({ channel })),
      (error) => error instanceof Error && !error.message.includes("private"),
    );
  });

  it("seals contacts, and erases them with a registration that has none", async () => {
    await using router = await startRouter();
    await router.a.registry.register(open, registration({ channel: contacts }));
    const sealed = router.sessions.sealed.get("contact/party-1");
    assert.ok(sealed);
    assert.ok(!Buffer.from(sealed).includes("example.org"));
    const stored = await router.a.nats.jsm.streams.getMessage("KV_mpc_parties", { seq: 1 });
    assert.doesNotMatch(Buffer.from(stored?.data ?? []).toString(), /example|1555|push:token/);
    const renewed = await router.b.registry.register(open, registration());
    assert.equal(renewed.offlineMode, false);
    assert.equal(router.sessions.sealed.size, 0);
    const [view] = await router.a.registry.list(open, everybody);
    assert.deepEqual(view?.channel, none);
  });

  it("lists a party whose contacts no key opens, without them", async () => {
    await using router = await startRouter();
    await router.a.registry.register(open, registration({ channel: contacts }));
    router.sessions.sealed.set("contact/party-1", new Uint8Array(64));
    const [view] = await router.a.registry.list(open, everybody);
    assert.deepEqual(view?.channel, none);
    assert.equal(view?.party.offlineMode, true);
  });

  it("keeps registrations over a crash of the server", async () => {
    await using router = await startRouter();
    await register(router.a, "party-1", "party-2");
    const before = await router.a.registry.list(open, everybody);
    await router.crashServer();
    await using fresh = await router.openInstance();
    for (const instance of [router.a, router.b, fresh]) {
      const after = await instance.registry.list(open, everybody);
      assert.deepEqual(
        after.map((view) => view.party),
        before.map((view) => view.party),
      );
    }
  });

  it("lists by role and sorted by id, all fields for the control plane", async () => {
    await using router = await startRouter();
    for (const [partyId, role] of [
      ["b", "persistent"],
      ["a", "delegate"],
      ["C", "persistent"],
      ["_", "temporary"],
    ] as const) {
      await router.a.registry.register(open, registration({ partyId, role, channel: contacts }));
    }
    const all = await router.b.registry.list(coordinator, everybody);
    assert.deepEqual(
      all.map((view) => view.party.partyId),
      ["C", "_", "a", "b"],
    );
    assert.ok(all.every((view) => view.channel.email === contacts.email && view.online));
    const some = await router.b.registry.list(coordinator, {
      role: "persistent",
      onlyOnline: false,
    });
    assert.deepEqual(
      some.map((view) => view.party.partyId),
      ["C", "b"],
    );
    const unknown = router.b.registry.list(open, { role: "leader", onlyOnline: false });
    await refuses(unknown, "INVALID_FIELD");
  });

  it("shows a party those of its live sessions, without contacts", async () => {
    await using router = await startRouter();
    for (const partyId of ["party-1", "party-2", "party-3", "party-4"]) {
      await router.a.registry.register(open, registration({ partyId, channel: contacts }));
    }
    await router.sessions.create(router.a.store, "live", ["party-1", "party-2", "unregistered"]);
    await router.sessions.create(router.a.store, "ended", ["party-1", "party-3"]);
    await router.sessions.move(router.a.store, "ended", "session_completed");
    const caller = { kind: "party", partyId: "party-1" } as const;
    const views = await router.b.registry.list(caller, everybody);
    assert.deepEqual(
      views.map((view) => view.party.partyId),
      ["party-1", "party-2"],
    );
    assert.ok(views.every((view) => view.channel.email === "" && view.lastSeenAt > 0));
    const alone = { kind: "party", partyId: "party-4" } as const;
    assert.deepEqual(await router.b.registry.list(alone, everybody), []);
  });

  it("answers a heartbeat with the mail of live sessions, and refuses who is not registered", async () => {
    await using router = await startRouter();
    await refuses(router.a.registry.heartbeat(open, "party-1"), "PARTY_NOT_FOUND");
    await refuses(router.a.registry.heartbeat(open, "a.b"), "INVALID_ID");
    await register(router.a, "party-1");
    router.sessions.pendingCount = 7;
    const without = await router.b.registry.heartbeat(open, "party-1");
    assert.equal(without.pendingMessages, 0);
    await router.sessions.create(router.a.store, "session-1", ["party-1", "party-2"]);
    const beat = await router.b.registry.heartbeat(open, "party-1");
    assert.equal(beat.pendingMessages, 7);
    assert.ok(Math.abs(beat.serverTimestamp - Date.now()) < 5_000);
    const other = { kind: "party", partyId: "party-2" } as const;
    await refuses(router.b.registry.heartbeat(other, "party-1"), "CALLER_MISMATCH");
  });

  it("calls a party offline when the presence time is over, and online on every instance before", async () => {
    await using router = await startRouter({ presenceTimeoutMs: 1_000 });
    await register(router.a, "party-1", "party-2");
    const startedAt = performance.now();
    let early = 0;
    await until("party-2 offline", async () => {
      await router.a.registry.heartbeat(open, "party-1");
      const [here, there] = await Promise.all([onlineOn(router.a), onlineOn(router.b)]);
      assert.ok(here.includes("party-1") && there.includes("party-1"));
      if (performance.now() - startedAt < 900) {
        early += 1;
        assert.ok(here.includes("party-2") && there.includes("party-2"));
      }
      return !here.includes("party-2") && !there.includes("party-2");
    });
    assert.ok(early > 0);
    await until("party-1 offline", async () => (await onlineOn(router.b)).length === 0, 1_300);
  });
});
