import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runProgram } from "../../interop/program.ts";

export const root: string = join(import.meta.dirname, "../../..");
export const deployDir: string = join(root, "deploy");

/** Where programs are looked up: Debian keeps haproxy where only root looks. */
export const searchPath: string = `${process.env["PATH"]}:/usr/sbin`;

/** What the tests use of a compose file, as `docker compose` resolves it. */
export interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>;
}

export interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly entrypoint: readonly string[] | null;
  readonly command: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly ComposeVolume[];
  readonly secrets?: readonly { readonly source: string }[];
  readonly networks?: Readonly<Record<string, unknown>>;
  readonly tmpfs?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly restart?: string;
  readonly privileged?: boolean;
  readonly user?: string;
  readonly stop_grace_period?: string;
  readonly stop_signal?: string;
}

export interface ComposeVolume {
  readonly type: "bind" | "volume";
  readonly source: string;
  readonly target: string;
  readonly read_only?: boolean;
}

export interface Dockerfile {
  readonly Stages: readonly DockerStage[];
  readonly Warnings: readonly string[];
}

export interface DockerStage {
  readonly Name: string;
  readonly Base: string;
  readonly Steps: readonly DockerStep[];
}

/** One instruction, with the fields that it has. */
export interface DockerStep {
  readonly Do: string;
  readonly Command?: readonly string[];
  readonly InShell?: boolean;
  readonly Sources?: readonly string[];
  readonly Target?: string;
  readonly From?: string;
  readonly Value?: string;
  readonly Variables?: Readonly<Record<string, string>>;
}

/** With an empty module cache and build cache. */
const buildTimeoutMs = 300_000;
const readTimeoutMs = 30_000;
let built: Promise<string> | undefined;

export async function readCompose(path: string, envPath: string): Promise<ComposeProject> {
  return (await read(["compose", path, envPath])) as ComposeProject;
}

export async function readDockerfile(): Promise<Dockerfile> {
  return (await read(["dockerfile", join(deployDir, "image/Dockerfile")])) as Dockerfile;
}

/** Every object that `kubectl apply -k` would send. */
export async function readManifests(directory: string): Promise<readonly Manifest[]> {
  return (await read(["kubernetes", directory])) as readonly Manifest[];
}

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: object;
  readonly data?: Readonly<Record<string, string>>;
}

async function read(args: readonly string[]): Promise<unknown> {
  const program = await (built ??= build());
  const ended = await runProgram(program, args, { timeoutMs: readTimeoutMs });
  assert.equal(ended.code, 0, ended.stderr);
  return JSON.parse(ended.stdout);
}

/** Built once a test file; Go keeps what it has compiled. */
async function build(): Promise<string> {
  const program = join(await mkdtemp(join(tmpdir(), "mpc-router-reader-")), "reader");
  const options = { cwd: join(import.meta.dirname, "reader"), timeoutMs: buildTimeoutMs };
  process.once("exit", () => rmSync(dirname(program), { recursive: true, force: true }));
  const args = ["build", "-mod=readonly", "-ldflags=-s -w", "-o", program, "."];
  const ended = await runProgram("go", args, options);
  assert.equal(ended.code, 0, ended.stderr);
  return program;
}
