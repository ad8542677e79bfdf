import { createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  connectParty,
  createIdentity,
  exportIdentity,
  exportPublicIdentity,
  importIdentity,
  importPublicIdentity,
} from "../../../src/party/index.ts";
import { DemoParty } from "./demo-party.ts";
import { Line } from "./line.ts";
import type { News, Order } from "./party-messages.ts";

/** A party of the demonstration: a worker with its own keys and its own line to the router. */

function tell(news: News): void {
  postMessage(news);
}

function begin(start: Extract<Order, { kind: "start" }>): void {
  const { partyId, origin, identity: secret, isAuthenticated } = start;
  const identity = secret === undefined ? createIdentity() : importIdentity(secret);
  const line = new Line(tell);
  const party = new DemoParty({ partyId, identity, tell });
  let token = Promise.withResolvers<string>();
  addEventListener("message", ({ data }: MessageEvent<Order>) => obey(data));
  tell({ kind: "up", publicIdentity: exportPublicIdentity(identity.public) });

  function obey(order: Order): void {
    if (order.kind === "line") line.setOffline(order.isOffline);
    else if (order.kind === "token") token.resolve(order.token);
    else if (order.kind === "lose-acknowledgement") line.loseAcknowledgement(order.isArmed);
    else if (order.kind === "tamper") line.tamper(order.isArmed);
    else if (order.kind === "export")
      tell({ kind: "exported", identity: exportIdentity(identity) });
    else if (order.kind === "peers") {
      for (const [peerId, bytes] of order.publicIdentities) {
        party.pin(peerId, importPublicIdentity(bytes));
      }
    } else party.obey(order);
  }

  /** The page knows whether there is one that has not expired, and may have to ask its user. */
  function askedToken(): Promise<string> {
    token = Promise.withResolvers();
    tell({ kind: "wants-token" });
    return token.promise;
  }

  const transport = createGrpcWebTransport({ baseUrl: origin, interceptors: [line.interceptor] });
  const connecting = connectParty({
    transport,
    partyId,
    role: "temporary",
    version: "web-demo",
    device: { deviceType: "web", appVersion: "web-demo" },
    heartbeatMs: 5_000,
    onState: (state) => tell({ kind: "link", state }),
    ...(isAuthenticated ? { token: askedToken } : {}),
  });
  connecting
    .then((connected) => party.attend(connected))
    .catch((error: unknown) => tell({ kind: "failed", text: String(error) }));
}

addEventListener(
  "message",
  ({ data }: MessageEvent<Order>) => {
    if (data.kind === "start") begin(data);
  },
  { once: true },
);
