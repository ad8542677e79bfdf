import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { BrokerStartError } from "./broker/broker-errors.ts";
import { cacheDirectory } from "./cache-directory.ts";
import { UsageError, usageExitCode } from "./cli/usage-error.ts";
import { StartError } from "./compose/start-error.ts";
import { badSettingsExitCode, SettingsError } from "./config/settings-error.ts";

/** Loads what the command needs: to issue a token takes no router. */
async function main(args: readonly string[]): Promise<void> {
  if (args[0] === "token") {
    const { runToken } = await import("./cli/token.ts");
    process.stdout.write(await runToken(args.slice(1)));
    return;
  }
  const { runRouter } = await import("./compose/command.ts");
  await runRouter(args);
}

const expected = [BrokerStartError, SettingsError, StartError, UsageError];

/** What is the operator's to mend is said in one line; anything else is ours, and comes with its stack. */
function fail(error: unknown): never {
  const isExpected = error instanceof Error && expected.some((kind) => error instanceof kind);
  const text = isExpected ? error.message : String((error as Error).stack ?? error);
  process.stderr.write(`mpc-router: ${text}\n`);
  if (error instanceof SettingsError) process.exit(badSettingsExitCode);
  process.exit(error instanceof UsageError ? usageExitCode : 1);
}

// Half of a start is compiling, which a restart under load has no processor for. Where there is nowhere to keep it, there is none.
enableCompileCache(join(cacheDirectory(process.env), "compiled"));
main(process.argv.slice(2)).catch(fail);
