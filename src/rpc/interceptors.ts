import type { Interceptor, StreamResponse, UnaryRequest } from "@connectrpc/connect";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { callBudgetMs, withinBudget } from "../domain/call-budget.ts";
import { isRouterError } from "../domain/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { callerKey } from "./caller.ts";
import { wireError } from "./errors.ts";
import { preferredWaitSeconds } from "./metadata.ts";

/**
 * Turns what handlers throw into what callers may see, and logs what is ours to mend. No call without a stream outlasts
 * its budget.
 */
export function createErrorInterceptor(logger: Logger): Interceptor {
  const seen = (method: string, error: unknown): ReturnType<typeof wireError> => {
    const wire = wireError(error);
    if (isRouterError(error)) logger.debug({ method, reason: error.reason }, "call refused");
    else if (wire !== error) logger.error({ method, err: error }, "call failed");
    return wire;
  };
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    try {
      const answer = next(request);
      if (request.stream) {
        const response = await answer;
        return response.stream ? guarded(response, (error) => seen(method, error)) : response;
      }
      return await withinBudget(method, answer, budgetOf(request));
    } catch (error) {
      throw seen(method, error);
    }
  };
}

/** A long poll may take as long as it asked for on top. */
function budgetOf(request: UnaryRequest): number {
  const isPoll = request.method === MessageRouter.method.getPendingMessages;
  return callBudgetMs + (isPoll ? preferredWaitSeconds(request.header) * 1_000 : 0);
}

function guarded(response: StreamResponse, seen: (error: unknown) => Error): StreamResponse {
  return {
    ...response,
    message: (async function* relayed() {
      try {
        yield* response.message;
      } catch (error) {
        throw seen(error);
      }
    })(),
  };
}

/** Every unary call is a sign of life of the party that makes it, once it was answered. */
export function createLivenessInterceptor(noteCall: (partyId: string) => void): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    if (!request.stream) {
      const partyId = callingParty(request);
      if (partyId !== undefined) noteCall(partyId);
    }
    return response;
  };
}

/** The one that the credential names, or without authentication the request. */
function callingParty({ message, contextValues }: UnaryRequest): string | undefined {
  const caller = contextValues.get(callerKey);
  if (caller.kind === "party") return caller.partyId;
  const { partyId, fromParty } = message as { partyId?: string; fromParty?: string };
  return partyId ?? fromParty;
}
