import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startRouter } from "../support/router.ts";
import { runProgram, type ProgramResult } from "./program.ts";

const script = fileURLToPath(new URL("../../examples/curl/all-rpcs.sh", import.meta.url));

describe("the curl example", () => {
  it("calls every RPC of the contract as plain JSON", async () => {
    await using router = await startRouter();

    const result = await curl(router.url);

    assert.equal(result.code, 0, `${result.stdout}${result.stderr}`);
    const called = result.stdout.match(/(?<=^ok )\w+/gm) ?? [];
    const wanted = MessageRouter.methods.map((method) => method.name);
    assert.deepEqual(called.toSorted(), wanted.toSorted());
  });

  it("fails at the first RPC that is not answered", async () => {
    const result = await curl("http://127.0.0.1:1");

    assert.notEqual(result.code, 0);
    assert.equal(result.stdout, "");
    assert.match(result.stderr, /^FAILED .*RegisterParty: no answer$/m);
  });
});

async function curl(url: string): Promise<ProgramResult> {
  return runProgram("bash", [script], { env: { BASE_URL: url }, timeoutMs: 60_000 });
}
