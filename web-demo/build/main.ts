import { rm } from "node:fs/promises";
import { join } from "node:path";
import { isBuiltFrom, noteSources, sourcesHash } from "./sources.ts";

const folder = join(import.meta.dirname, "..");

/** Builds the web demo into web-demo/dist, unless it is there already for these very sources. */
async function main(): Promise<void> {
  const hash = await sourcesHash(folder);
  if (await isBuiltFrom(folder, hash)) return;
  if (!isViteInstalled()) {
    say("the web demo is not built: vite is not installed");
    return;
  }
  const startedAt = performance.now();
  say("building the web demo (once, until its sources change)");
  const { buildSite } = await import("./site.ts");
  await rm(join(folder, "dist"), { recursive: true, force: true });
  const { files, gzipBytes } = await buildSite(folder);
  await noteSources(folder, hash);
  const took = Math.round(performance.now() - startedAt);
  say(`web demo: ${files} files, ${Math.ceil(gzipBytes / 1_000)} kB gzip, ${took} ms`);
}

/** An installation for production lacks it, and serves what was built before, or no demo. */
function isViteInstalled(): boolean {
  try {
    import.meta.resolve("vite");
    return true;
  } catch {
    return false;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main();
