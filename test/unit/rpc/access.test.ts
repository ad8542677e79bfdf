import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { DescMethod } from "@bufbuild/protobuf";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import {
  SessionCoordinator,
  SessionOperations,
} from "../../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { accessByMethod, accessTo, principals, refusalFor } from "../../../src/rpc/access.ts";

const contract = [MessageRouter, SessionCoordinator, SessionOperations];
const others = [Health, ServerReflection, ServerReflectionAlpha];
const methods: readonly DescMethod[] = [...contract, ...others].flatMap((service) => [
  ...service.methods,
]);

describe("the access table", () => {
  it("has every method of every service, and no other", () => {
    const names = methods.map(({ parent, localName }) => `${parent.typeName}/${localName}`);
    assert.deepEqual([...accessByMethod.keys()].toSorted(), names.toSorted());
  });

  it("lets nobody in without a credential but to health", () => {
    const open = methods.filter((method) => accessTo(method).nobody === "ok");
    assert.deepEqual(
      new Set(open.map(({ parent }) => parent.typeName)),
      new Set([Health.typeName]),
    );
    for (const method of methods) {
      if (!open.includes(method)) assert.equal(accessTo(method).nobody, "UNAUTHENTICATED");
    }
  });

  it("never has the coordinator act as a party, nor a party as the coordinator", () => {
    for (const method of MessageRouter.methods) {
      const { self, coordinator } = accessTo(method);
      const isForBoth = ["GetMessageStatus", "GetSessionStatus", "GetRegisteredParties"];
      if (isForBoth.includes(method.name)) continue;
      assert.notEqual(self === "ok", coordinator === "ok", method.name);
    }
    for (const method of [...SessionCoordinator.methods, ...SessionOperations.methods]) {
      assert.equal(refusalFor(accessTo(method), "party"), "COORDINATOR_ONLY");
      assert.equal(refusalFor(accessTo(method), "coordinator"), undefined);
    }
  });

  it("leaves to the domain what depends on the request, and nothing else", () => {
    assert.equal(refusalFor(accessTo(MessageRouter.method.routeMessage), "party"), undefined);
    assert.equal(
      refusalFor(accessTo(MessageRouter.method.routeMessage), "coordinator"),
      "CALLER_MISMATCH",
    );
  });

  it("gives a method that it does not have to the coordinator alone", () => {
    const { parent, ...method } = MessageRouter.method.heartbeat;
    const unknown = { ...method, parent, localName: "unknown" } as DescMethod;
    assert.equal(accessTo(unknown).nobody, "UNAUTHENTICATED");
    assert.equal(refusalFor(accessTo(unknown), "party"), "COORDINATOR_ONLY");
  });

  it("is in the documentation as it is in the source", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/protocol.md"), "utf8");
    const [, table = ""] = /<!-- access -->([^]*)<!-- \/access -->/.exec(page) ?? [];
    const rows = table
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .slice(2)
      .map((line) =>
        line
          .split("|")
          .slice(1, -1)
          .map((cell) => cell.trim().replaceAll("`", "")),
      );
    const expected = contract.flatMap((service) =>
      service.methods.map((method) => [
        `${service.name}.${method.name}`,
        ...principals.map((principal) => accessTo(method)[principal]),
      ]),
    );
    assert.deepEqual(rows, expected);
  });
});
