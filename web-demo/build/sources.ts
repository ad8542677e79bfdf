import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";

/** What the demo is made of, relative to its folder. */
const sources = [
  "index.html",
  "build",
  "public",
  "src",
  "../examples/frost",
  "../gen",
  "../package-lock.json",
  "../src/party",
];

const noteName = "dist/sources.sha256";

/** A hash of the names and contents of all sources: files that were deleted or put back count too. */
export async function sourcesHash(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const source of sources) {
    for (const file of await filesIn(join(folder, source))) {
      const content = createHash("sha256").update(await readFile(file));
      hash.update(`${relative(folder, file)}\n${content.digest("hex")}\n`);
    }
  }
  return hash.digest("hex");
}

export async function isBuiltFrom(folder: string, hash: string): Promise<boolean> {
  const note = await readFile(join(folder, noteName), "utf8").catch(() => "");
  return note === hash;
}

export async function noteSources(folder: string, hash: string): Promise<void> {
  await mkdir(join(folder, "dist"), { recursive: true });
  await writeFile(join(folder, noteName), hash);
}

/** All files below, in a fixed order; the path itself when it is a file. */
export async function filesIn(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOTDIR") return undefined;
      throw error;
    },
  );
  if (entries === undefined) return [path];
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}
