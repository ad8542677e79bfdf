import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { isTransient } from "../../../src/party/index.ts";
import { isPartyError, partyErrorOf } from "../../../src/party/party-error.ts";
import { RouterError, type RouterErrorReason } from "../../../src/domain/errors.ts";
import { codes, toConnectError } from "../../../src/rpc/errors.ts";

const cutConnections: readonly ConnectError[] = [
  new ConnectError("connect ECONNREFUSED 127.0.0.1:8080", Code.Unavailable),
  new ConnectError("socket hang up", Code.Aborted),
  new ConnectError("The pending stream has been canceled", Code.Internal),
  new ConnectError("protocol error: missing EndStreamResponse", Code.InvalidArgument),
  new ConnectError("the operation timed out", Code.DeadlineExceeded),
  new ConnectError(
    "http/2 stream closed with error code ENHANCE_YOUR_CALM (0xb)",
    Code.ResourceExhausted,
  ),
  // A browser's fetch over a connection that is gone.
  ConnectError.from(new TypeError("Failed to fetch")),
];

describe("a failed call", () => {
  it("is made again when the router is away or the connection broke", () => {
    for (const error of cutConnections) assert.equal(isTransient(error), true, error.message);
    const away = new RouterError("BROKER_UNAVAILABLE", "append", { retryAfterMs: 1_000 });
    assert.equal(isTransient(toConnectError(away)), true);
  });

  it("is not made again when the router has refused it, whatever for", () => {
    for (const [reason, code] of Object.entries(codes)) {
      const refusal = toConnectError(new RouterError(reason as RouterErrorReason, "why"));
      assert.equal(isTransient(refusal), code === Code.Unavailable, reason);
    }
    for (const error of [
      new ConnectError("internal error", Code.Internal),
      new ConnectError("unknown method", Code.Unimplemented),
      new ConnectError("no token", Code.Unauthenticated),
      new ConnectError("message is larger than allowed", Code.ResourceExhausted),
      new TypeError("undefined is not a function"),
    ]) {
      assert.equal(isTransient(error), false, error.message);
    }
  });
});

describe("an error of a party", () => {
  it("has the router's reason, code and patience, and its text", () => {
    const full = new RouterError("MAILBOX_FULL", "bob has too much mail", { retryAfterMs: 1_500 });
    const error = partyErrorOf(toConnectError(full));
    assert.equal(error.reason, "MAILBOX_FULL");
    assert.equal(error.code, Code.ResourceExhausted);
    assert.equal(error.retryAfterMs, 1_500);
    assert.equal(error.message, "MAILBOX_FULL: bob has too much mail");
    assert.equal(error.isFinal, false);
  });

  it("is final where no repeat can help", () => {
    for (const reason of [
      "SUPERSEDED",
      "JOIN_DENIED",
      "SESSION_EXPIRED",
      "PAYLOAD_TOO_LARGE",
    ] as const) {
      assert.equal(
        partyErrorOf(toConnectError(new RouterError(reason, "why"))).isFinal,
        true,
        reason,
      );
    }
    for (const reason of ["SESSION_NOT_IN_PROGRESS", "NOT_JOINED", "SHUTTING_DOWN"] as const) {
      assert.equal(
        partyErrorOf(toConnectError(new RouterError(reason, "why"))).isFinal,
        false,
        reason,
      );
    }
    for (const error of cutConnections) assert.equal(partyErrorOf(error).isFinal, false);
  });

  it("has its code in capitals for a reason where there is none", () => {
    const reasons = [Code.DeadlineExceeded, Code.Unauthenticated, Code.Unavailable].map(
      (code) => partyErrorOf(new ConnectError("text", code)).reason,
    );
    assert.deepEqual(reasons, ["DEADLINE_EXCEEDED", "UNAUTHENTICATED", "UNAVAILABLE"]);
  });

  it("is told by its reasons", () => {
    const error = partyErrorOf(new ConnectError("text", Code.Unavailable));
    assert.ok(isPartyError(error));
    assert.ok(isPartyError(error, "SUPERSEDED", "UNAVAILABLE"));
    assert.ok(!isPartyError(error, "SUPERSEDED"));
    assert.ok(!isPartyError(new Error("UNAVAILABLE"), "UNAVAILABLE"));
    assert.equal(partyErrorOf(error), error);
  });
});
