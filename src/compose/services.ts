import type { ConnectRouter } from "@connectrpc/connect";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { createCoordinatorHandlers } from "../rpc/coordinator.ts";
import { createEventHandlers } from "../rpc/events.ts";
import { healthRoutes, type ReadinessSource } from "../rpc/health.ts";
import { createMessageHandlers } from "../rpc/messages.ts";
import { createPartyHandlers } from "../rpc/parties.ts";
import { reflectionRoutes } from "../rpc/reflection.ts";
import { createSessionOperationHandlers, proxiedCaller } from "../rpc/session-operations.ts";
import type { Rules } from "./rules.ts";

const services = [MessageRouter, SessionCoordinator, SessionOperations];

/** Registers every service this router has. */
export function routesOf(
  rules: Rules,
  readiness: ReadinessSource,
): (router: ConnectRouter) => void {
  const { eventStreams: streams, publisher } = rules;
  const operations = createSessionOperationHandlers(rules.coordinator);
  const health = healthRoutes(
    readiness,
    services.map(({ typeName }) => typeName),
  );
  const reflection = reflectionRoutes([...services, Health]);
  return (router) => {
    router.service(MessageRouter, {
      ...createMessageHandlers(rules.messaging),
      ...createPartyHandlers(rules.registry),
      ...createEventHandlers({ streams, publisher }),
      ...operations,
    });
    router.service(SessionCoordinator, createCoordinatorHandlers(rules.coordinator));
    router.service(
      SessionOperations,
      createSessionOperationHandlers(rules.coordinator, proxiedCaller),
    );
    health(router);
    reflection(router);
  };
}
