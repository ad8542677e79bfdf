import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

/** Whether calls can be served now, and if not, why, in one line. */
export type Readiness =
  { readonly ready: true } | { readonly ready: false; readonly reason: string };

/** GET /livez answers while the process does; GET /readyz says whether to send calls here. */
export function registerProbes(app: FastifyInstance, readiness: () => Readiness): void {
  app.get("/livez", (_request, reply) => text(reply, 200, "ok"));
  app.get("/readyz", (_request, reply) => {
    const state = readiness();
    return state.ready ? text(reply, 200, "ready") : text(reply, 503, `not ready: ${state.reason}`);
  });
}

/** They are asked by address, by whatever runs the router. */
export function isProbe(request: FastifyRequest): boolean {
  const { url } = request.routeOptions;
  return url === "/livez" || url === "/readyz";
}

/** What stands at `/` where no web page is served. */
export function registerPointer(app: FastifyInstance): void {
  app.get("/", (_request, reply) =>
    text(
      reply,
      200,
      "mpc-router: gRPC, gRPC-Web, Connect and JSON on this port. Reflection lists the services " +
        "(grpcurl -plaintext HOST:PORT list), /readyz says whether they are ready.",
    ),
  );
}

/** An answer of one line that nobody may keep. */
export function text(reply: FastifyReply, status: number, line: string): FastifyReply {
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("text/plain; charset=utf-8")
    .send(`${line}\n`);
}
