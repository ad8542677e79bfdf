import { createReadStream } from "node:fs";
import { buffer } from "node:stream/consumers";

/** Why keys cannot be had: the end of a sentence that begins with their place, without anything of what was read. */
export class KeyProblem extends Error {
  override readonly name = "KeyProblem";
}

/** More than any key set has: each key takes about half a kilobyte. */
const maxContentBytes = 262_144;
/** A call waits for its keys, and is to be answered within 2.5 s. */
const fetchLimitMs = 2_000;

export async function loadFile(path: string, signal: AbortSignal): Promise<Buffer> {
  let content: Buffer;
  try {
    // One byte more than is allowed tells that there is more.
    content = await buffer(createReadStream(path, { end: maxContentBytes, signal }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new KeyProblem(`cannot be read (${code})`, { cause: error });
  }
  if (content.length > maxContentBytes) throw new KeyProblem("is too large");
  return content;
}

/** Redirects are not followed: the keys come from the place that was named, or not at all. */
export async function loadUrl(url: string, signal: AbortSignal): Promise<Buffer> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(fetchLimitMs)]);
  const headers = { accept: "application/json, application/jwk-set+json" };
  try {
    const answer = await fetch(url, { redirect: "error", signal: limited, headers });
    if (answer.status !== 200) throw new KeyProblem(`answers with status ${answer.status}`);
    return await bounded(answer.body ?? []);
  } catch (error) {
    if (error instanceof KeyProblem) throw error;
    throw new KeyProblem("cannot be reached", { cause: error });
  }
}

async function bounded(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop ends the transfer.
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxContentBytes) throw new KeyProblem("is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
