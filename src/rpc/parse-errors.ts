import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalHandlerFn,
  UniversalHandlerOptions,
} from "@connectrpc/connect/protocol";
import type { DescMethod } from "@bufbuild/protobuf";
import { RouterError } from "../domain/errors.ts";
import type { Admit } from "./admission.ts";
import { toConnectError } from "./errors.ts";

type Routes = (router: ConnectRouter) => void;

/** What is known of a unary call before its implementation is reached. */
interface Intake {
  /** The call's signal; the framework aborts it with the error that the call ends with. */
  signal?: AbortSignal;
  isDecoded: boolean;
  /** Set to have the call refused before anything is read. */
  refusal?: ConnectError;
}

/** Codes of the framework's errors whose texts may quote the request. */
const quoting = new Set([Code.InvalidArgument, Code.Internal, Code.Unknown]);

const intakeKey = createContextKey<Intake | undefined>(undefined, { description: "intake" });

/**
 * Registers the routes so that a request that cannot be read is refused with a fixed text: the framework's own texts
 * quote what was sent, and call some of it an internal error. The interceptors are those of all services; `admit` lets
 * their calls in.
 */
export function withFixedParseErrors(
  routes: Routes,
  interceptors: readonly Interceptor[],
  admit?: Admit,
): Routes {
  return (router) => {
    const before = router.handlers.length;
    const added = {
      requestGate: createGate(admit),
      interceptors: [noteDecoded, ...interceptors],
    };
    routes(withIntake(router, added));
    const registered = router.handlers.splice(before);
    router.handlers.push(...registered.map(refuseUndecoded));
  };
}

function withIntake(router: ConnectRouter, added: Partial<UniversalHandlerOptions>): ConnectRouter {
  const wrapped: ConnectRouter = {
    handlers: router.handlers,
    service(service, implementation, options) {
      router.service(service, implementation, { ...options, ...added });
      return wrapped;
    },
    rpc(method, implementation, options) {
      router.rpc(method, implementation, { ...options, ...added });
      return wrapped;
    },
  };
  return wrapped;
}

/** Runs before the request is read. Who is not let in learns nothing of what is wrong with the request. */
function createGate(admit: Admit = () => undefined): Admit {
  return async (context) => {
    const intake = context.values.get(intakeKey);
    if (intake?.refusal !== undefined) throw intake.refusal;
    await admit(context);
    if (intake !== undefined) intake.signal = context.signal;
  };
}

/**
 * Runs when a unary request is read, or before a streamed one is. The errors of a stream come out of its iterable, and
 * are replaced there.
 */
const noteDecoded: Interceptor = (next) => (request) => {
  if (request.stream) {
    return next({ ...request, message: readable(request.message, request.method) });
  }
  const intake = request.contextValues.get(intakeKey);
  if (intake !== undefined) intake.isDecoded = true;
  return next(request);
};

async function* readable<T>(messages: AsyncIterable<T>, method: DescMethod): AsyncIterable<T> {
  let count = 0;
  try {
    for await (const message of messages) {
      count += 1;
      if (count > 1 && method.methodKind === "server_streaming") throw notUnderstood();
      yield message;
    }
  } catch (error) {
    throw refusalOf(error);
  }
  if (count === 0 && method.methodKind === "server_streaming") throw notUnderstood();
}

/**
 * The errors of a unary request are encoded before any code of ours sees them. Where the call ended without having been
 * decoded, it is made once more, now to be refused unread, so that each protocol encodes the refusal itself.
 */
function refuseUndecoded(handler: UniversalHandler): UniversalHandler {
  if (handler.method.methodKind !== "unary") return handler;
  const guarded: UniversalHandlerFn = async (request) => {
    const intake: Intake = { isDecoded: false };
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(intakeKey, intake);
    const answer = await handler({ ...request, contextValues });
    // Without a signal the call did not get as far as a protocol: wrong HTTP method or content type.
    if (intake.isDecoded || intake.signal === undefined) return answer;
    intake.refusal = refusalOf(intake.signal.reason);
    return handler({ ...request, contextValues });
  };
  return Object.assign(guarded, handler);
}

/** The refusal in place of an error met while reading a request; one that quotes nothing stays as it is. */
function refusalOf(error: unknown): ConnectError {
  const code = error instanceof ConnectError ? error.code : Code.Unknown;
  if (code === Code.ResourceExhausted) {
    return toConnectError(
      new RouterError("PAYLOAD_TOO_LARGE", "the request is larger than this router accepts"),
    );
  }
  if (code === Code.Unimplemented) return notUnderstood(error);
  return error instanceof ConnectError && !quoting.has(code) ? error : undecodable();
}

function undecodable(): ConnectError {
  return toConnectError(new RouterError("INVALID_FIELD", "the request cannot be decoded"));
}

function notUnderstood(cause?: unknown): ConnectError {
  const refusal = toConnectError(
    new RouterError(
      "UNIMPLEMENTED",
      "the compression of the request, or the number of its messages, is not supported",
    ),
  );
  // Names the compressions that are.
  if (cause instanceof ConnectError) {
    cause.metadata.forEach((value, name) => refusal.metadata.set(name, value));
  }
  return refusal;
}
