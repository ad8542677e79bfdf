import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { decodeJwt } from "jose";
import { runToken } from "../../../src/cli/token.ts";
import { UsageError } from "../../../src/cli/usage-error.ts";

interface Scratch extends AsyncDisposable {
  readonly path: (name: string) => string;
}

async function setup(): Promise<Scratch> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-token-"));
  return {
    path: (name) => join(directory, name),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

/** The lines that say what is wrong. */
async function problemsOf(...args: readonly string[]): Promise<readonly string[]> {
  const thrown = await runToken(args).then(
    () => assert.fail("it is accepted"),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof UsageError, String(thrown));
  return thrown.message.split("\n");
}

describe("the token command", () => {
  it("puts into a token what is asked for", async () => {
    await using scratch = await setup();
    const key = scratch.path("secret");
    await runToken(["key", "--alg=HS256", "--out", key]);
    const issued = async (...args: readonly string[]): Promise<object> => {
      const {
        iat = 0,
        exp = 0,
        ...claims
      } = decodeJwt((await runToken(["issue", "--key", key, ...args])).trim());
      return { ...claims, seconds: exp - iat };
    };
    assert.deepEqual(await issued("--party=alice"), {
      sub: "alice",
      role: "party",
      seconds: 3_600,
    });
    assert.deepEqual(
      await issued("--party=a", "--party-role=delegate,temporary", "--ttl=2m", "--issuer=i"),
      { sub: "a", role: "party", party_role: ["delegate", "temporary"], iss: "i", seconds: 120 },
    );
    assert.deepEqual(await issued("--coordinator", "--audience=a"), {
      sub: "coordinator",
      role: "coordinator",
      aud: "a",
      seconds: 3_600,
    });
  });

  it("never overwrites a key, and leaves no half of one behind", async () => {
    await using scratch = await setup();
    const key = scratch.path("dev.jwk");
    await writeFile(`${key}.jwks`, "mine");
    assert.deepEqual(await problemsOf("key", "--out", key), [
      `--out: ${key}.jwks is there already, and is not overwritten`,
    ]);
    assert.deepEqual(await readdir(scratch.path(".")), ["dev.jwk.jwks"]);
    assert.equal(await readFile(`${key}.jwks`, "utf8"), "mine");
    const nowhere = scratch.path("no/dev.jwk");
    assert.deepEqual(await problemsOf("key", "--out", nowhere), [
      `--out: ${nowhere} cannot be made (ENOENT)`,
    ]);
  });

  it("says all that is wrong with what it is asked for", async () => {
    const wrong = ["--party=a.b", "--party-role=root", "--ttl=never", "--isuer=x"];
    assert.deepEqual(await problemsOf("issue", ...wrong), [
      "--isuer is no setting; did you mean --issuer?",
      "--key is needed: a file that mpc-router token key made",
      "--party must be 1 to 128 characters of A-Z a-z 0-9 _ -",
      "--party-role must be of persistent, delegate, temporary",
      "--ttl is not a duration value such as 500ms, 2s or 10m",
    ]);
    assert.deepEqual(await problemsOf("issue", "--key=k", "--party=a", "--coordinator"), [
      "either --party or --coordinator is needed",
    ]);
    assert.deepEqual(
      await problemsOf("issue", "--key=k", "--coordinator", "--party-role=temporary"),
      ["--party-role is for parties"],
    );
    assert.deepEqual(await problemsOf("key", "--alg=none"), [
      "--alg is not one of EdDSA, ES256, RS256, HS256",
      "--out is needed",
    ]);
    assert.deepEqual(await problemsOf("make"), [
      "token needs a command: key or issue (see mpc-router token --help)",
    ]);
  });

  it("does not say what is in a file that is no key", async () => {
    await using scratch = await setup();
    const key = scratch.path("key");
    for (const content of ["hunter2", '{"kty":"OKP","hunter2":', '{"kty":"oct","k":"hunter2"}']) {
      await writeFile(key, content);
      const problems = await problemsOf("issue", `--key=${key}`, "--party=alice");
      assert.match(problems.join("\n"), /^--key: \S+ is n/);
      assert.doesNotMatch(problems.join("\n"), /hunter2/);
    }
    await rm(key);
    assert.deepEqual(await problemsOf("issue", `--key=${key}`, "--party=alice"), [
      `--key: ${key} cannot be read (ENOENT)`,
    ]);
  });

  it("says how it is used", async () => {
    for (const args of [["--help"], ["key", "-h"], ["issue", "--key=x", "--help"]]) {
      assert.match(await runToken(args), /^Usage: mpc-router token key /);
    }
  });
});
