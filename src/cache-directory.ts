import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/** Where this program keeps, for this user, what it can make again; see the XDG base directory specification. */
export function cacheDirectory(env: NodeJS.ProcessEnv): string {
  // The specification tells to ignore a relative path.
  const named = env["XDG_CACHE_HOME"] ?? "";
  const caches = isAbsolute(named) ? named : join(env["HOME"] ?? homedir(), ".cache");
  return join(caches, "mpc-router");
}
