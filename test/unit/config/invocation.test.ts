import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { readInvocation, type Invocation } from "../../../src/config/invocation.ts";
import { SettingsError } from "../../../src/config/settings-error.ts";

interface KeyFile extends AsyncDisposable {
  readonly path: string;
  readonly key: Buffer;
}

async function setup(): Promise<KeyFile> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-invocation-"));
  return {
    path: join(directory, "keys"),
    key: randomBytes(32),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

function keysOf(invocation: Invocation): readonly Uint8Array[] {
  assert.equal(invocation.kind, "serve");
  return invocation.sealKeys;
}

describe("the invocation", () => {
  it("has the keys of the file that is named, and none where none is", async () => {
    await using file = await setup();
    await writeFile(file.path, file.key.toString("base64"));
    const named = await readInvocation([], { MPC_ROUTER_SEAL_KEY_FILE: file.path });
    assert.deepEqual(keysOf(named), [file.key]);
    assert.deepEqual(keysOf(await readInvocation([], {})), []);
  });

  it("takes the keys from a pipe, which can be read only once", async () => {
    await using file = await setup();
    await promisify(execFile)("mkfifo", [file.path]);
    const [invocation] = await Promise.all([
      readInvocation(["--seal-key-file", file.path], {}),
      writeFile(file.path, `${file.key.toString("base64")}\n`),
    ]);
    assert.deepEqual(keysOf(invocation), [file.key]);
  });

  it("has what is wrong with settings and key file in one error, and no key in it", async () => {
    await using file = await setup();
    const spoilt = `${file.key.toString("base64")}hunter2`;
    await writeFile(file.path, spoilt);
    await assert.rejects(
      readInvocation(["--ack-wait=0s", `--seal-key-file=${file.path}`], {}),
      (error) => {
        assert.ok(error instanceof SettingsError);
        assert.deepEqual(error.problems, [
          '--ack-wait: "0s" is not within 100ms to 1h',
          `--seal-key-file: line 1 of ${file.path} is not 32 bytes in base64`,
        ]);
        for (const problem of error.problems) assert.ok(error.message.includes(problem));
        return true;
      },
    );
  });

  it("looks at no file where help or version is asked for", async () => {
    const nowhere = "--seal-key-file=/nowhere/keys";
    assert.deepEqual(await readInvocation([nowhere, "--help"], {}), { kind: "help" });
    assert.deepEqual(await readInvocation([nowhere, "--version"], {}), { kind: "version" });
  });
});
