import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startIssuer } from "../support/credentials.ts";
import { startRouter } from "../support/router.ts";
import { runProgram, type ProgramResult } from "./program.ts";

const script = fileURLToPath(new URL("../../examples/curl/all-rpcs.sh", import.meta.url));

describe("the curl example", () => {
  it("calls every RPC of the contract as plain JSON", async () => {
    await using router = await startRouter();

    const result = await curl(router.url);

    assertCompleted(result);
  });

  it("shows the tokens it is given to a router with authentication", async () => {
    await using issuer = await startIssuer();
    await using router = await startRouter({ args: issuer.flags });

    const result = await curl(router.url, {
      COORDINATOR_TOKEN: await issuer.coordinator(),
      ALICE: "alice",
      ALICE_TOKEN: await issuer.party("alice"),
      DELEGATE: "guard",
      DELEGATE_TOKEN: await issuer.party("guard"),
    });

    assertCompleted(result);
    const refused = await curl(router.url);
    assert.match(refused.stderr, /^FAILED .*RegisterParty: HTTP 401 .*UNAUTHENTICATED/m);
  });

  it("fails at the first RPC that is not answered", async () => {
    const result = await curl("http://127.0.0.1:1");

    assert.notEqual(result.code, 0);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, /^FAILED .*RegisterParty: no answer$/m);
  });
});

async function curl(
  url: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> {
  return runProgram("bash", [script], { env: { BASE_URL: url, ...env }, timeoutMs: 60_000 });
}

function assertCompleted(result: ProgramResult): void {
  assert.equal(result.code, 0, `${result.stdout}${result.stderr}`);
  const called = result.stdout.match(/(?<=^ok )\w+/gm) ?? [];
  const wanted = MessageRouter.methods.map((method) => method.name);
  assert.deepEqual(called.toSorted(), wanted.toSorted());
}
