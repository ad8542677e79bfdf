import {
  createRegistry,
  type DescFile,
  type DescService,
  type MessageInitShape,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { expiryKey } from "./caller.ts";
import { connectionKey } from "./connection.ts";
import { shuttingDown } from "./streaming.ts";

type Question = ServerReflectionRequest["messageRequest"];
type Answer = NonNullable<
  MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]
>;

const notFound: Answer = {
  case: "errorResponse",
  value: { errorCode: Code.NotFound, errorMessage: "not found" },
};

/** The two versions differ in their package alone. */
const alpha = ServerReflectionAlpha as DescService as typeof ServerReflection;

/** Server reflection, v1 and v1alpha, of the services and of itself: what grpcurl and other tools ask for. */
export function reflectionRoutes(
  services: readonly DescService[],
): (router: ConnectRouter) => void {
  const catalogue = createCatalogue([...services, ServerReflection, alpha]);
  return (router) => {
    for (const version of [ServerReflection, alpha]) {
      router.service(version, {
        async *serverReflectionInfo(requests, context) {
          for await (const request of untilClosing(requests, context)) {
            const messageResponse = catalogue(request.messageRequest);
            yield { validHost: request.host, originalRequest: request, messageResponse };
          }
        },
      });
    }
  };
}

function createCatalogue(services: readonly DescService[]): (question: Question) => Answer {
  const files = new Map<string, DescFile>();
  for (const service of services) collectFiles(service.file, files);
  // No service names the details of errors, but tools look them up to show them.
  collectFiles(file_google_rpc_error_details, files);
  const registry = createRegistry(...files.values());
  const names = services.map((service) => ({ name: service.typeName }));
  return (question) => {
    if (question.case === "listServices") {
      return { case: "listServicesResponse", value: { service: names } };
    }
    if (question.case === "fileByFilename") {
      return fileAnswer(files.get(question.value.replace(/\.proto$/, "")));
    }
    if (question.case === "fileContainingSymbol") {
      return fileAnswer(fileOfSymbol(registry, question.value));
    }
    // The other questions are about extensions, and no file here has any.
    return notFound;
  };
}

/** The file and everything that it imports, by name. */
function collectFiles(file: DescFile, files: Map<string, DescFile>): Map<string, DescFile> {
  if (!files.has(file.name)) {
    files.set(file.name, file);
    for (const dependency of file.dependencies) collectFiles(dependency, files);
  }
  return files;
}

function fileAnswer(file: DescFile | undefined): Answer {
  if (file === undefined) return notFound;
  const fileDescriptorProto = [...collectFiles(file, new Map()).values()].map((each) =>
    toBinary(FileDescriptorProtoSchema, each.proto),
  );
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

/** The symbol is a type, or a method or field of one. */
function fileOfSymbol(registry: Registry, symbol: string): DescFile | undefined {
  const type = registry.get(symbol);
  if (type !== undefined) return type.file;
  const dot = symbol.lastIndexOf(".");
  const [parent, member] = [symbol.slice(0, dot), symbol.slice(dot + 1)];
  const members = registry.getService(parent)?.methods ?? registry.getMessage(parent)?.fields;
  return members?.find(({ name }) => name === member)?.parent.file;
}

/**
 * The requests of a stream; ends with an error when the server drains or the caller's credential ends, however long the
 * client keeps silent.
 */
async function* untilClosing<T>(
  requests: AsyncIterable<T>,
  context: HandlerContext,
): AsyncIterable<T> {
  const { draining } = context.values.get(connectionKey);
  const expiry = context.values.get(expiryKey);
  const iterator = requests[Symbol.asyncIterator]();
  const closed = Promise.withResolvers<never>();
  const close = (): void => closed.reject(shuttingDown());
  const expire = (): void => closed.reject(expiry.reason as Error);
  closed.promise.catch(() => undefined);
  draining.addEventListener("abort", close);
  expiry.addEventListener("abort", expire);
  if (draining.aborted) close();
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), closed.promise]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    draining.removeEventListener("abort", close);
    expiry.removeEventListener("abort", expire);
  }
}
