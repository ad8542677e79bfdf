import { connectNats } from "../src/nats/connection.ts";
import { provision } from "../src/nats/provisioning.ts";
import { openEventStore } from "../src/nats/event-store.ts";
import { startNatsServer } from "./support/nats-server.ts";
import { until } from "./support/until.ts";
const t0 = performance.now();
const now = () => Math.round(performance.now() - t0);
let lines: string[] = [];
const logger = { debug: (f: object, m: string) => lines.push(`${now()} ${m} ${String((f as { err?: Error }).err ?? "")} ${(f as {err?: Error}).err?.stack?.split("\n").filter((l) => l.includes("src/nats")).slice(0,3).join("|")}`), info() {}, warn: (_f: object, m: string) => lines.push(`${now()} ${m}`), error: (_f: object, m: string) => lines.push(`${now()} ${m}`), child: () => logger };
const ev = (id: string) => ({ eventId: id, eventType: "x", sessionId: "s", thresholdN: 1, thresholdT: 1, selectedParties: ["p"], messageHash: new Uint8Array(), createdAt: 1, expiresAt: Date.now() + 60000 });
const server = await startNatsServer();
const inst = async () => { const nats = await connectNats({ url: server.url, name: "p", connectTimeoutMs: 5000, logger: logger as never, clock: { nowMs: () => Date.now() } }); await provision(nats); return { nats, store: await openEventStore(nats, { logger: logger as never }) }; };
const a = await inst(), b = await inst();
const heard: string[] = []; b.store.onEvent((s) => heard.push(s.event.eventId));
for (let i = 0; i < 40; i++) {
  lines = [];
  await server.kill("SIGKILL"); lines.push(`${now()} killed`);
  await server.restart(); lines.push(`${now()} restarted`);
  await until("c", () => a.nats.isConnected() && b.nats.isConnected());
  const s = performance.now();
  lines.push(`${now()} connected`);
  await a.store.append(ev("e" + i), "x");
  const ap = performance.now() - s;
  await until("h", () => heard.length === i + 1);
  const d = performance.now() - s;
  if (d > 800) { console.log(i, Math.round(d), "append", Math.round(ap)); console.log(lines.join("\n")); }
}
process.exit(0);
