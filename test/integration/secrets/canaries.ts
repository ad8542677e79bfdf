import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A secret that occurs nowhere else, and what it may look like where it leaks. */
export interface Canary {
  readonly name: string;
  readonly needles: readonly Buffer[];
}

export function textCanary(name: string, text: string): Canary {
  const bytes = Buffer.from(text);
  return { name, needles: [bytes, ...encodings(bytes)] };
}

export function byteCanary(name: string, bytes: Uint8Array): Canary {
  return { name, needles: [Buffer.from(bytes), ...encodings(Buffer.from(bytes))] };
}

/** In whole, and, since it may stand in the midst of something, from its first third on, in base64 of any offset. */
function encodings(bytes: Buffer): readonly Buffer[] {
  const inside = [0, 1, 2].flatMap((offset) => {
    const part = bytes.subarray(offset, offset + 3 * Math.floor((bytes.length - offset) / 3));
    return [part.toString("base64"), part.toString("base64url")];
  });
  return [bytes.toString("hex"), ...inside].map((text) => Buffer.from(text));
}

export function randomText(): string {
  return randomBytes(18).toString("hex");
}

/** Which of the canaries are found, each with where. */
export function found(canaries: readonly Canary[], where: string, haystack: Buffer): string[] {
  return canaries
    .filter(({ needles }) => needles.some((needle) => haystack.includes(needle)))
    .map(({ name }) => `${name} in ${where}`);
}

/** Searches every file under a directory, but for those whose path holds `except`. */
export async function foundInFiles(
  canaries: readonly Canary[],
  directory: string,
  except: string,
): Promise<{ readonly leaks: readonly string[]; readonly bytes: number }> {
  const leaks: string[] = [];
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || path.includes(except)) continue;
    const content = await readFile(path);
    bytes += content.length;
    leaks.push(...found(canaries, path.slice(directory.length), content));
  }
  return { leaks, bytes };
}
