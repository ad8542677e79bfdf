import type { ConnectRouter } from "@connectrpc/connect";
import { RouterError } from "../domain/errors.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.js";
import { connectionKey } from "./connection.ts";
import { shuttingDown, streamSignal } from "./streaming.ts";

/** Whether the router can serve calls, and when that changes. */
export interface ReadinessSource {
  isReady(): boolean;
  /** Calls the listener after each change. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

/** The standard gRPC health service: the server as a whole ("") and each of the services are as ready as the router. */
export function healthRoutes(
  readiness: ReadinessSource,
  services: readonly string[],
): (router: ConnectRouter) => void {
  const known = new Set(["", ...services]);
  const status = (): Status => (readiness.isReady() ? Status.SERVING : Status.NOT_SERVING);
  return (router) =>
    router.service(Health, {
      check(request) {
        if (!known.has(request.service)) {
          throw new RouterError("SERVICE_NOT_FOUND", "this server has no such service");
        }
        return { status: status() };
      },
      async *watch(request, context) {
        const { draining } = context.values.get(connectionKey);
        const signal = AbortSignal.any([streamSignal(context), draining]);
        let last: Status | undefined;
        for (;;) {
          const changed = nextChange(readiness, signal);
          const current = draining.aborted ? Status.NOT_SERVING : status();
          const answer = known.has(request.service) ? current : Status.SERVICE_UNKNOWN;
          if (answer !== last) yield { status: answer };
          last = answer;
          if (draining.aborted) throw shuttingDown();
          if (signal.aborted) return;
          await changed;
        }
      },
    });
}

/** Resolves at the next change, or when the signal aborts. */
function nextChange(readiness: ReadinessSource, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = readiness.onChange(done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
