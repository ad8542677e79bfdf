import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import { runProgram } from "../../interop/program.ts";
import { until } from "../../support/until.ts";
import { readDockerfile, root, type DockerStage, type DockerStep } from "./deploy-reader.ts";

const user = 1000;
const installTimeoutMs = 120_000;

describe("the image, built and run as plain commands", () => {
  let image: Image;
  before(async () => (image = await buildImage()));
  after(async () => rm(image.directory, { recursive: true, force: true }));

  it("has the packages for production and no other", async () => {
    const file = await readFile(join(root, "package.json"), "utf8");
    const { dependencies, devDependencies } = JSON.parse(file) as PackageFile;
    const installed = await readdir(join(image.root, "app/node_modules"));
    for (const name of Object.keys(dependencies)) {
      assert.ok(installed.includes(name.split("/")[0] ?? ""), name);
    }
    const own = new Set(Object.keys(dependencies).map((name) => name.split("/")[0]));
    for (const name of Object.keys(devDependencies)) {
      const [folder = ""] = name.split("/");
      assert.ok(own.has(folder) || !installed.includes(folder), name);
    }
  });

  it("takes nothing from the context that its list does not let in", async () => {
    const path = join(root, "deploy/image/Dockerfile.dockerignore");
    const lines = (await readFile(path, "utf8")).split("\n").filter((line) => /^[^#]/.test(line));
    const [first, ...allowed] = lines;
    const sources = image.copied.map((source) => `!${source}`);
    assert.equal(first, "*");
    assert.deepEqual(new Set(sources), new Set(allowed));
  });

  it("runs compiled, as a user without rights on a tree that nobody can write, is found healthy, and drains", async () => {
    const compiled = await compiledIn(image);
    await using router = await startImage(image);
    const isHealthy = async (): Promise<boolean> => (await router.healthCheck()) === 0;
    await until("the health check passes", isHealthy, 30_000).catch((error: unknown) => {
      throw new Error(router.output(), { cause: error });
    });
    const writable = await runProgram("find", [join(image.root, "app"), "-writable"], {
      timeoutMs: 10_000,
    });
    assert.ok(process.getuid?.() === 0 || writable.stdout === "", writable.stdout);
    assert.deepEqual(await readdir(join(image.root, "var/lib/nats")), []);
    router.signal("SIGTERM");
    assert.equal(await router.exited, 0, router.output());
    assert.match(router.output(), /"stopped"/);
    assert.equal(await router.healthCheck(), 1);
    // It keeps what it compiles, and has found most of that in the image.
    const compiledNow = await compiledIn(image);
    assert.ok([...compiled].every((name) => compiledNow.has(name)));
    assert.ok(compiled.size > 0.8 * compiledNow.size, `${compiled.size} of ${compiledNow.size}`);
  });
});

interface PackageFile {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface Image {
  readonly directory: string;
  /** Where its `/` is. */
  readonly root: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly healthCheck: readonly string[];
  /** What was taken from the context. */
  readonly copied: readonly string[];
}

/** Carries out the steps of the Dockerfile, each stage below a directory that stands for its root. */
async function buildImage(): Promise<Image> {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-image-"));
  // Whoever runs the router has to get there.
  await chmod(directory, 0o755);
  const { Stages } = await readDockerfile();
  const copied: string[] = [];
  const rootOf = (stage: string): string => join(directory, stage === "" ? "final" : stage);
  for (const stage of Stages) {
    await mkdir(rootOf(stage.Name), { recursive: true });
    if (stage.Name === "nats") await provideNats(rootOf(stage.Name));
    let workDirectory = rootOf(stage.Name);
    const variables: Record<string, string> = {};
    let isRoot = true;
    for (const step of stage.Steps) {
      if (step.Do === "WORKDIR") {
        workDirectory = join(rootOf(stage.Name), step.Value ?? "");
        await mkdir(workDirectory, { recursive: true });
      }
      Object.assign(variables, step.Variables);
      if (step.Do === "USER") isRoot = false;
      const place = { cwd: workDirectory, root: rootOf(stage.Name), variables, isRoot };
      if (step.Do === "RUN") await carryOut(step, place);
      if (step.Do !== "COPY") continue;
      const from = step.From === undefined ? root : rootOf(step.From);
      copied.push(...(step.From === undefined ? (step.Sources ?? []) : []));
      await copy(step, from, step.Target?.startsWith("/") ? rootOf(stage.Name) : workDirectory);
    }
  }
  const last: DockerStage | undefined = Stages.at(-1);
  const commandOf = (name: string): readonly string[] =>
    last?.Steps.find((step) => step.Do === name)?.Command ?? [];
  for (const folder of ["app", "usr"]) await forAnybodyToRead(join(rootOf(""), folder));
  return {
    directory,
    root: rootOf(""),
    variables: Object.assign({}, ...(last?.Steps ?? []).map(({ Variables }) => Variables ?? {})),
    entrypoint: commandOf("ENTRYPOINT"),
    healthCheck: commandOf("HEALTHCHECK").slice(1),
    copied,
  };
}

/** The one image that is not built here has one program. */
async function provideNats(stageRoot: string): Promise<void> {
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  await cp(await realpath(path), join(stageRoot, "usr/local/bin/nats-server"));
}

interface StepPlace {
  readonly cwd: string;
  readonly root: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly isRoot: boolean;
}

async function carryOut(step: DockerStep, place: StepPlace): Promise<void> {
  assert.equal(step.InShell, true);
  const command = (step.Command ?? []).join(" ").replaceAll(" /var/", ` ${place.root}/var/`);
  if (!place.isRoot) await forAnybodyToRead(place.cwd);
  const ended = await runProgram("sh", ["-c", command], {
    cwd: place.cwd,
    env: { ...variablesBelow(place.root, place.variables), NODE_COMPILE_CACHE: "" },
    ...(place.isRoot ? {} : asUser()),
    timeoutMs: installTimeoutMs,
  });
  assert.equal(ended.code, 0, `${command}\n${ended.stderr}`);
}

/** Their paths lead to where the image's root is. */
function variablesBelow(
  imageRoot: string,
  variables: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const here = (value: string): string => value.replace(/^\//, `${imageRoot}/`);
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, here(value)]));
}

/** As far as it is ours to say. */
function asUser(): { readonly uid?: number; readonly gid?: number } {
  return process.getuid?.() === 0 ? { uid: user, gid: user } : {};
}

/** Names of the files that Node has compiled. */
async function compiledIn(image: Image): Promise<ReadonlySet<string>> {
  return new Set(await readdir(join(image.root, "var/cache/mpc-router"), { recursive: true }));
}

async function copy({ Sources = [], Target = "" }: DockerStep, from: string, to: string) {
  for (const source of Sources) {
    const target = Target.endsWith("/") ? join(to, Target, source) : join(to, Target);
    await cp(join(from, source), target, { recursive: true });
  }
}

/** As the files of an image are, whatever this machine masks. */
async function forAnybodyToRead(path: string): Promise<void> {
  const ended = await runProgram("chmod", ["-R", "a+rX,a-w", path], { timeoutMs: 10_000 });
  assert.equal(ended.code, 0, ended.stderr);
}

interface RunningImage extends AsyncDisposable {
  readonly exited: Promise<number | null>;
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves with its exit code. */
  healthCheck(): Promise<number | null>;
}

/** The entrypoint with the variables of the image; only what they name is elsewhere, and the address is loopback. */
async function startImage(image: Image): Promise<RunningImage> {
  const env = {
    PATH: process.env["PATH"],
    ...variablesBelow(image.root, image.variables),
    MPC_ROUTER_LISTEN: `127.0.0.1:${await freePort()}`,
  };
  const options = { cwd: join(image.root, "app"), env, ...asUser() };
  const run = (command: readonly string[]) => {
    const [program = "", ...args] = command;
    const path = program === "node" ? process.execPath : program;
    return spawn(path, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  };
  const child = run(image.entrypoint);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const exited = once(child, "close").then(([code]) => code as number | null);
  return {
    exited,
    output: () => output,
    signal: (name) => void child.kill(name),
    async healthCheck() {
      const [code] = (await once(run(image.healthCheck), "close")) as [number | null];
      return code;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
