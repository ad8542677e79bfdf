import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { runProgram, type ProgramResult } from "../../interop/program.ts";
import { startFleet } from "../../support/fleet.ts";

const root = join(import.meta.dirname, "../../..");

/** What the SDK imports, and what a user of it chooses a transport from. */
const dependencies = ["@bufbuild", "@connectrpc", "@hpke", "@noble"];

interface Project extends AsyncDisposable {
  readonly directory: string;
  readonly files: readonly string[];
}

/** A project that has the packed package installed, without a network. */
async function createProject(): Promise<Project> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-user-"));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(directory, { recursive: true, force: true }));
  const packed = await run("npm", ["pack", "--pack-destination", directory, "--json"], root);
  // What the build prints comes before the answer.
  const answer: unknown = JSON.parse(packed.stdout.slice(packed.stdout.search(/^[[{]$/m)));
  const [{ filename, files }] = Object.values(answer as object) as [
    { filename: string; files: { path: string }[] },
  ];
  const modules = join(directory, "node_modules");
  const home = join(modules, "mpc-router");
  await mkdir(home, { recursive: true });
  await run("tar", ["-xzf", join(directory, filename), "-C", home, "--strip-components=1"], root);
  for (const name of dependencies) {
    await symlink(join(root, "node_modules", name), join(modules, name));
  }
  await writeFile(join(directory, "package.json"), '{ "type": "module" }');
  const held = undo.move();
  return {
    directory,
    files: files.map(({ path }) => path),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function run(command: string, args: readonly string[], cwd: string): Promise<ProgramResult> {
  const ended = await runProgram(command, args, { cwd, timeoutMs: 60_000 });
  assert.equal(ended.code, 0, `${command} ${args.join(" ")}\n${ended.stdout}${ended.stderr}`);
  return ended;
}

/** The first example as a user of the package writes it: in JavaScript, and importing the package. */
async function helloForUsers(): Promise<string> {
  const source = await readFile(join(root, "examples/party/hello.ts"), "utf8");
  return source
    .replace("../../src/party/index.ts", "mpc-router/party")
    .replace("../../gen/", "mpc-router/gen/");
}

describe("the package", () => {
  it("has the party SDK as JavaScript with types, which runs and compiles where it is installed", async () => {
    await using fleet = await startFleet("Connect JSON");
    await using project = await createProject();
    const { directory, files } = project;
    const hello = await helloForUsers();
    assert.match(
      hello,
      /mpc-router\/party[^]*mpc-router\/gen\/|mpc-router\/gen\/[^]*mpc-router\/party/,
    );

    await writeFile(join(directory, "hello.js"), hello);
    const [url = ""] = fleet.urls;
    const ended = await run(process.execPath, ["hello.js", url], directory);
    assert.equal(ended.stdout, "alice: Hello, Bob.\n");

    await writeFile(join(directory, "hello.ts"), `${hello}${typeErrors}`);
    const compiler = join(root, "node_modules/typescript/bin/tsc");
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "esnext"];
    const libraries = [
      "--skipLibCheck",
      "--types",
      "node",
      "--typeRoots",
      join(root, "node_modules/@types"),
    ];
    await run(process.execPath, [compiler, ...options, ...libraries, "hello.ts"], directory);

    assert.ok(files.every((path) => !path.startsWith("src/") && !path.startsWith("test/")));
    assert.ok(files.includes("dist/party/index.d.ts"));
    assert.ok(files.includes("docs/party-sdk.md"));
  });
});

/** What must not compile: without types it would. */
const typeErrors = `
// @ts-expect-error there is no such role
await connectParty({ transport, partyId: "carol", role: "king" });
// @ts-expect-error a payload is bytes
await atAlice.send("bob", { round: 1, type: "hello", payload: "text" });
`;
