import { setTimeout as pause } from "node:timers/promises";
import { create, type Message } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import {
  messageOf,
  registry,
  type HeaderField,
  type StreamDefinition,
  type UnaryDefinition,
  type WireError,
} from "./suite-types.ts";

const requestInfo = messageOf("ConformancePayload.RequestInfo");
const payload = messageOf("ConformancePayload");

type Request<D> = Message & { readonly responseDefinition?: D };
type StreamRequest = Request<StreamDefinition> & { readonly fullDuplex: boolean };
type Answer = { readonly payload: Message };

/** The suite's service, as its protocol comments ask for it: each request says what is to be answered. */
export function conformanceRoutes(router: ConnectRouter): void {
  const service = registry.getService("connectrpc.conformance.v1.ConformanceService");
  if (service === undefined) throw new Error("the suite has no service");
  // The types of the methods are not known before the descriptors are read.
  router.service(service, implementation as unknown as ServiceImpl<typeof service>, {
    // The suite packs its messages into others, of which JSON has to know the types.
    jsonOptions: { registry },
  });
}

const implementation = {
  unary: (request: Request<UnaryDefinition>, context: HandlerContext) =>
    answerOnce(request.responseDefinition, [request], context),
  idempotentUnary: (request: Request<UnaryDefinition>, context: HandlerContext) =>
    answerOnce(request.responseDefinition, [request], context),
  async clientStream(requests: AsyncIterable<Request<UnaryDefinition>>, context: HandlerContext) {
    const seen: Request<UnaryDefinition>[] = [];
    for await (const request of requests) seen.push(request);
    return answerOnce(seen[0]?.responseDefinition, seen, context);
  },
  async *serverStream(request: Request<StreamDefinition>, context: HandlerContext) {
    yield* answerMany(request.responseDefinition, [request], context);
  },
  async *bidiStream(requests: AsyncIterable<StreamRequest>, context: HandlerContext) {
    const seen: StreamRequest[] = [];
    let answered = 0;
    for await (const request of requests) {
      if (seen.length === 0 && answered === 0) setHeaders(request.responseDefinition, context);
      const definition = seen[0]?.responseDefinition ?? request.responseDefinition;
      seen.push(request);
      if (!(seen[0]?.fullDuplex ?? false)) continue;
      const data = definition?.responseData[answered];
      if (data === undefined) break;
      await pause(definition?.responseDelayMs ?? 0);
      yield answerOf(data, infoOf(context, [request]));
      answered += 1;
    }
    const definition = seen[0]?.responseDefinition;
    const info = infoOf(context, seen[0]?.fullDuplex === true ? seen.slice(answered) : seen);
    yield* rest(definition, answered, info);
  },
};

async function answerOnce(
  definition: UnaryDefinition | undefined,
  requests: readonly Message[],
  context: HandlerContext,
): Promise<Answer> {
  setHeaders(definition, context);
  const info = infoOf(context, requests);
  await pause(definition?.responseDelayMs ?? 0);
  if (definition?.response.case === "error") throw errorOf(definition.response.value, info);
  const data = definition?.response.case === "responseData" ? definition.response.value : undefined;
  return answerOf(data, info);
}

async function* answerMany(
  definition: StreamDefinition | undefined,
  requests: readonly Message[],
  context: HandlerContext,
): AsyncGenerator<Answer> {
  setHeaders(definition, context);
  yield* rest(definition, 0, infoOf(context, requests));
}

/** What is still to be answered; the first answer, or else the error, tells of the requests. */
async function* rest(
  definition: StreamDefinition | undefined,
  answered: number,
  info: Message,
): AsyncGenerator<Answer> {
  const data = definition?.responseData ?? [];
  for (let index = answered; index < data.length; index += 1) {
    await pause(definition?.responseDelayMs ?? 0);
    yield answerOf(data[index], index === 0 ? info : undefined);
  }
  if (definition?.error !== undefined) {
    throw errorOf(definition.error, data.length === 0 ? info : undefined);
  }
}

function setHeaders(
  definition: Pick<UnaryDefinition, "responseHeaders" | "responseTrailers"> | undefined,
  context: HandlerContext,
): void {
  append(context.responseHeader, definition?.responseHeaders ?? []);
  append(context.responseTrailer, definition?.responseTrailers ?? []);
}

function append(headers: Headers, fields: readonly HeaderField[]): void {
  for (const { name, value } of fields) for (const one of value) headers.append(name, one);
}

function infoOf(context: HandlerContext, requests: readonly Message[]): Message {
  const remainingMs = context.timeoutMs();
  return create(requestInfo, {
    requestHeaders: [...context.requestHeader].map(([name, value]) => ({ name, value: [value] })),
    requests: requests.map((request) => anyPack(messageOf(lastName(request)), request)),
    ...(remainingMs === undefined ? {} : { timeoutMs: BigInt(Math.round(remainingMs)) }),
  });
}

function lastName(message: Message): string {
  return message.$typeName.split(".").at(-1) ?? "";
}

function answerOf(data: Uint8Array | undefined, info: Message | undefined): Answer {
  const fields = {
    ...(data === undefined ? {} : { data }),
    ...(info === undefined ? {} : { requestInfo: info }),
  };
  return { payload: create(payload, fields) };
}

/** `info`: told in the details where no answer could. */
function errorOf(error: WireError, info: Message | undefined): ConnectError {
  const details = error.details.flatMap((packed) => {
    const value = anyUnpack({ $typeName: "google.protobuf.Any", ...packed }, registry);
    return value === undefined ? [] : [{ desc: messageOf(lastName(value)), value }];
  });
  const told = info === undefined ? [] : [{ desc: requestInfo, value: info }];
  return new ConnectError(error.message ?? "", error.code, undefined, [...details, ...told]);
}
