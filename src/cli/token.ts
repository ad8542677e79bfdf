import { issueToken } from "./token-issue.ts";
import { makeKey } from "./token-key.ts";
import { tokenHelp } from "./token-help.ts";
import { UsageError } from "./usage-error.ts";

/** Runs `mpc-router token …`; resolves with what it prints. `args`: what follows the word `token`. */
export async function runToken(args: readonly string[]): Promise<string> {
  const [command, ...rest] = args;
  if (args.includes("--help") || args.includes("-h")) return tokenHelp;
  if (command === "key") return makeKey(rest);
  if (command === "issue") return issueToken(rest);
  throw new UsageError("token needs a command: key or issue (see mpc-router token --help)");
}
