import assert from "node:assert/strict";
import { runProgram } from "../../interop/program.ts";
import { mainPath } from "./processes.ts";

export interface RefusedStart {
  readonly code: number | null;
  /** What follows the name of the program; all of it. */
  readonly message: string;
}

/**
 * Runs a router that cannot start, and checks the form of what it says: one message on stderr, the banner unsaid, no stack.
 * Log lines (JSON) do not count.
 */
export async function startRefused(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RefusedStart> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [mainPath, ...args], {
    env: { MPC_ROUTER_LISTEN: "127.0.0.1:0", ...env },
    timeoutMs: 20_000,
  });
  assert.equal(stdout, "");
  assert.notEqual(code, 0);
  const lines = stderr.split("\n").filter((line) => !line.startsWith("{"));
  const said = lines.join("\n");
  assert.match(said, /^mpc-router: [^]*\n$/);
  assert.doesNotMatch(said, /\n\s+at |\.ts:\d|Error:/);
  return { code, message: said.slice("mpc-router: ".length).trimEnd() };
}
