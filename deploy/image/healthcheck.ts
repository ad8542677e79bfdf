import { request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";

/** Exit code 0 if the router in this container is ready. The image has no curl, and needs none. */

const [, port = "8443"] = /:(\d+)$/.exec(process.env["MPC_ROUTER_LISTEN"] ?? "") ?? [];
const hasTls = (process.env["MPC_ROUTER_TLS_CERT"] ?? "") !== "";
const request = hasTls ? requestTls : requestPlain;

// The certificate names the service, not this machine; nothing secret is sent, and only this machine answers.
const options = { path: "/readyz", port, rejectUnauthorized: false, timeout: 2_000 };
request({ host: "127.0.0.1", ...options }, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
})
  .on("timeout", () => process.exit(1))
  .on("error", () => process.exit(1))
  .end();
