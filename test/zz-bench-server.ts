process.on("SIGINT",()=>process.exit());
import { fastify } from "fastify";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { DualServer } from "../src/server/dual-server.ts";
import { http1Options, http2Options, defaultTimeouts } from "../src/server/limits.ts";
import { MessageRouter } from "../gen/mpc/router/v1/message_router_pb.js";
import * as t from "./integration/transport/test-app.ts";
if (process.argv[2]==="plugin") {
  let dual: DualServer;
  const app = fastify();
  await app.register(fastifyConnectPlugin, { routes: (r) => r.service(MessageRouter, { heartbeat: () => ({success:true,pendingMessages:0}) }), acceptCompression: [], jsonOptions:{alwaysEmitImplicit:true} });
  await app.ready();
  dual = new DualServer((a,b)=>app.routing(a,b), {http1:http1Options(defaultTimeouts),http2:http2Options(),maxConnections:1000,firstBytesMs:1000,pingIntervalMs:20000});
  dual.listen(7788);
} else { const app = await t.startApp(); (await import("node:fs")).writeFileSync("/tmp/zz-port", String(app.port)); }
