import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { startApp, type TestApp } from "./test-app.ts";

type Question = NonNullable<
  MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]
>;

const versions = { v1: ServerReflection, v1alpha: Alpha as unknown as typeof ServerReflection };

describe("reflection", () => {
  for (const [name, version] of Object.entries(versions)) {
    const ask = (app: TestApp, ...questions: Question[]) => askVersion(app, version, questions);

    it(`${name} lists the services`, async () => {
      await using app = await startApp();
      const [answer] = await ask(app, { case: "listServices", value: "" });
      assert(answer?.messageResponse.case === "listServicesResponse");
      assert.deepEqual(
        answer.messageResponse.value.service.map((service) => service.name),
        [
          "mpc.router.v1.MessageRouter",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection",
        ],
      );
    });

    it(`${name} describes files, types, methods and fields, imports included`, async () => {
      await using app = await startApp();
      const answers = await ask(
        app,
        { case: "fileByFilename", value: "mpc/router/v1/message_router.proto" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.MessageRouter" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.MessageRouter.RouteMessage" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.MPCMessage" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.MPCMessage.payload" },
      );
      assert.equal(answers.length, 5);
      for (const { messageResponse } of answers) {
        assert(messageResponse.case === "fileDescriptorResponse");
        const file = messageResponse.value.fileDescriptorProto.map((bytes) =>
          fromBinary(FileDescriptorProtoSchema, bytes),
        );
        const registry = createFileRegistry({ $typeName: FileDescriptorSetSchema.typeName, file });
        assert.equal(registry.getService("mpc.router.v1.MessageRouter")?.methods.length, 15);
      }
    });

    it(`${name} describes the details of errors`, async () => {
      await using app = await startApp();
      const [answer] = await ask(app, {
        case: "fileContainingSymbol",
        value: "google.rpc.ErrorInfo",
      });
      assert.equal(answer?.messageResponse.case, "fileDescriptorResponse");
    });

    it(`${name} does not know what is not there`, async () => {
      await using app = await startApp();
      const answers = await ask(
        app,
        { case: "fileByFilename", value: "no.proto" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.No" },
        { case: "fileContainingSymbol", value: "mpc.router.v1.MessageRouter.No" },
        { case: "fileContainingSymbol", value: "" },
        { case: "allExtensionNumbersOfType", value: "mpc.router.v1.MPCMessage" },
        { case: undefined },
      );
      assert.equal(answers.length, 6);
      for (const { messageResponse } of answers) {
        assert(messageResponse.case === "errorResponse");
        assert.equal(messageResponse.value.errorCode, Code.NotFound);
      }
    });
  }

  it("ends when the server drains, though the client keeps silent", async () => {
    await using app = await startApp();
    const questions = waiting();
    const client = createClient(ServerReflection, createGrpcTransport({ baseUrl: app.url }));
    const answers = client.serverReflectionInfo(questions)[Symbol.asyncIterator]();
    await answers.next();
    const drained = app.drain();
    await assert.rejects(
      answers.next(),
      (error) => error instanceof ConnectError && error.code === Code.Unavailable,
    );
    await drained;
  });

  it("needs HTTP/2", async () => {
    await using app = await startApp();
    const transport = createGrpcWebTransport({ baseUrl: app.url, httpVersion: "1.1" });
    const answers = createClient(ServerReflection, transport).serverReflectionInfo(waiting());
    await assert.rejects(answers[Symbol.asyncIterator]().next());
  });
});

async function askVersion(
  app: TestApp,
  version: typeof ServerReflection,
  questions: Question[],
): Promise<ServerReflectionResponse[]> {
  const client = createClient(version, createGrpcTransport({ baseUrl: app.url }));
  const requests = questions.map((messageRequest) => ({ host: "here", messageRequest }));
  const answers: ServerReflectionResponse[] = [];
  for await (const answer of client.serverReflectionInfo(stream(requests))) {
    assert.equal(answer.validHost, "here");
    answers.push(answer);
  }
  return answers;
}

async function* stream<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

/** One question, and then no end. */
async function* waiting(): AsyncIterable<{ messageRequest: Question }> {
  yield { messageRequest: { case: "listServices", value: "" } };
  await new Promise(() => undefined);
}
