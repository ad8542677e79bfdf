import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseSealKeys, readSealKeyFile } from "../../../src/config/seal-key-file.ts";
import { SettingsError } from "../../../src/config/settings-error.ts";

function key(): { readonly bytes: Buffer; readonly line: string } {
  const bytes = randomBytes(32);
  return { bytes, line: bytes.toString("base64") };
}

function problemsOf(content: string): readonly string[] {
  try {
    parseSealKeys(content, "keys");
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.problems;
  }
  return assert.fail("the file is accepted");
}

describe("the seal key file", () => {
  it("gives its keys in order, past blank lines, comments and carriage returns", () => {
    const [first, second] = [key(), key()];
    const content = `# current\r\n\r\n  ${first.line} \r\n\n#${key().line}\n${second.line}`;
    assert.deepEqual(parseSealKeys(content, "keys"), [first.bytes, second.bytes]);
  });

  it("is refused by line, without a word of what the line has", () => {
    const short = randomBytes(31).toString("base64");
    const long = randomBytes(33).toString("base64");
    const url = `${"-_".repeat(21)}8=`;
    const spare = `${"A".repeat(42)}B=`;
    const bare = key().line.slice(0, -1);
    const lines = [key().line, short, long, url, spare, bare, "hunter2", `${key().line} # mine`];
    const problems = problemsOf(lines.join("\n"));
    const expected = [2, 3, 4, 5, 6, 7, 8].map(
      (line) => `--seal-key-file: line ${line} of keys is not 32 bytes in base64`,
    );
    assert.deepEqual(problems, expected);
  });

  it("is refused with a key that is there twice", () => {
    const { line } = key();
    assert.deepEqual(problemsOf(`${line}\n# again\n${line}\n`), [
      "--seal-key-file: line 3 of keys repeats line 1",
    ]);
  });

  it("is refused without a key", () => {
    assert.deepEqual(problemsOf("# nothing\n\n"), ["--seal-key-file: keys has no key"]);
  });

  it("is read from disk, with its limit", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mpc-router-keys-"));
    const path = join(directory, "keys");
    try {
      const { bytes, line } = key();
      await writeFile(path, `${line}\n`);
      assert.deepEqual(await readSealKeyFile(path), [bytes]);
      await writeFile(path, `${line}\n#${"ä".repeat(40_000)}`);
      await assert.rejects(readSealKeyFile(path), /is over 65536 bytes/);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("is refused in one line where it cannot be read", async () => {
    await assert.rejects(readSealKeyFile("/nowhere/keys"), (error) => {
      assert.ok(error instanceof SettingsError);
      assert.deepEqual(error.problems, ["--seal-key-file: /nowhere/keys cannot be read (ENOENT)"]);
      return true;
    });
    await assert.rejects(readSealKeyFile(tmpdir()), /cannot be read \(EISDIR\)/);
  });

  it("keeps a key that is given in place of the file to itself", async () => {
    const { line } = key();
    await assert.rejects(readSealKeyFile(line), (error) => {
      assert.ok(error instanceof SettingsError);
      assert.ok(!error.message.includes(line));
      return true;
    });
  });
});
