import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";
import { SettingsError } from "./settings-error.ts";

/** Keys of 32 bytes; new values are sealed with the first. */
export type SealKeys = readonly [Uint8Array, ...Uint8Array[]];

const fileLimitBytes = 65_536;
/** 32 bytes in base64 with its padding. */
const keyForm = /^[A-Za-z0-9+/]{43}=$/;

/** Reads the file that `--seal-key-file` names. Throws a SettingsError that never quotes what is in it. */
export async function readSealKeyFile(path: string): Promise<SealKeys> {
  // Whoever gave the key in place of its file must not find it in the log.
  if (keyForm.test(path)) throw new SettingsError(["--seal-key-file: a key is given, not a file"]);
  let content: Buffer;
  try {
    // One byte more than is allowed tells that there is more.
    content = await buffer(createReadStream(path, { end: fileLimitBytes }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError([`--seal-key-file: ${path} cannot be read (${code})`]);
  }
  if (content.length > fileLimitBytes) {
    throw new SettingsError([`--seal-key-file: ${path} is over ${fileLimitBytes} bytes`]);
  }
  return parseSealKeys(content.toString("utf8"), path);
}

/** One base64 key of 32 bytes a line; blank lines and lines that start with # do not count. */
export function parseSealKeys(content: string, path: string): SealKeys {
  const lineOfKey = new Map<string, number>();
  const problems: string[] = [];
  for (const [index, line] of content.split("\n").entries()) {
    const key = line.trim();
    if (key === "" || key.startsWith("#")) continue;
    const where = `--seal-key-file: line ${index + 1} of ${path}`;
    const earlier = lineOfKey.get(key);
    if (!isKey(key)) problems.push(`${where} is not 32 bytes in base64`);
    else if (earlier !== undefined) problems.push(`${where} repeats line ${earlier}`);
    else lineOfKey.set(key, index + 1);
  }
  const [first, ...others] = [...lineOfKey.keys()].map((key) => Buffer.from(key, "base64"));
  if (first === undefined && problems.length === 0) {
    problems.push(`--seal-key-file: ${path} has no key`);
  }
  if (first === undefined || problems.length > 0) throw new SettingsError(problems);
  return [first, ...others];
}

/** The last digit has two bits to spare; a key with them set would have two spellings. */
function isKey(line: string): boolean {
  return keyForm.test(line) && Buffer.from(line, "base64").toString("base64") === line;
}
