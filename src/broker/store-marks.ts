import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";

/** How far each stream has come: the sequence of the last message it ever stored, by its name. */
export type Positions = Readonly<Record<string, number>>;

/** Remembers beside a store how far its streams had come, since a damaged one may start without a word of it (2.15). */
export interface StoreMarks {
  /** Resolves with what has gone back since the last time, one line each, and remembers the new state. */
  note(positions: Positions): Promise<readonly string[]>;
}

export function openStoreMarks(path: string): StoreMarks {
  let known = readMarks(path);
  return {
    async note(positions) {
      const losses = Object.entries(positions).flatMap(([stream, position]) => {
        const before = known[stream] ?? 0;
        return position < before
          ? [`${stream} had come to message ${before}, and is at ${position} now`]
          : [];
      });
      const next = { ...known, ...positions };
      if (JSON.stringify(next) !== JSON.stringify(known)) await writeMarks(path, next);
      known = next;
      return losses;
    },
  };
}

function readMarks(path: string): Positions {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Positions;
  } catch {
    // There is none before the first look, and one that is damaged says nothing.
    return {};
  }
}

async function writeMarks(path: string, marks: Positions): Promise<void> {
  try {
    await writeFile(`${path}.new`, JSON.stringify(marks), { mode: 0o600 });
    await rename(`${path}.new`, path);
  } catch {
    // The disk is full or read-only, which the server says itself; an old mark is lower, and so never a false alarm.
  }
}
