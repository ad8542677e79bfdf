import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import {
  readDockerfile,
  root,
  searchPath,
  type ComposeProject,
  type ComposeService,
  type DockerStep,
} from "./deploy-reader.ts";

/** A compose file that runs as plain processes of this machine. */
export interface ComposeRun extends AsyncDisposable {
  /** The loopback address that stands for the container. */
  addressOf(service: string): string;
  /** What the service has printed so far. */
  output(service: string): string;
  /** `without`: variables that are taken out of its environment. */
  start(service: string, without?: readonly string[]): Promise<void>;
  /** Resolves when the process is gone. */
  kill(service: string, signal: NodeJS.Signals): Promise<void>;
}

export interface ComposeRunOptions {
  readonly project: ComposeProject;
  /** The directory of the secrets that the file names. */
  readonly secretsDir: string;
}

interface Place {
  readonly directory: string;
  readonly address: string;
  child?: ChildProcess;
  output: string;
}

/**
 * Starts nothing yet. Commands, environment and configuration files are those of the compose file and of the image, but
 * that names of hosts become addresses of this machine, and paths in a container paths below a temporary directory.
 */
export async function prepareCompose(options: ComposeRunOptions): Promise<ComposeRun> {
  const { project, secretsDir } = options;
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-compose-"));
  const image = await readImage();
  const programs = await findPrograms();
  // A network of its own within 127/8, so that every service keeps its port.
  const network = `127.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const names = Object.keys(project.services);
  const places = new Map<string, Place>(
    names.map((name, index) => [
      name,
      { directory: join(directory, name), address: `${network}.${index + 1}`, output: "" },
    ]),
  );
  const addresses = new Map([...places].map(([name, { address }]) => [name, address]));
  for (const [name, service] of Object.entries(project.services)) {
    await layOut(service, placeOf(places, name).directory);
  }
  const stop = async (place: Place, signal: NodeJS.Signals): Promise<void> => {
    const { child } = place;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  return {
    addressOf: (name) => placeOf(places, name).address,
    output: (name) => placeOf(places, name).output,
    async start(name, without = []) {
      const place = placeOf(places, name);
      const service = project.services[name] as ComposeService;
      const here = localizer({ service, place, addresses, secretsDir });
      for (const { type, source, target } of service.volumes ?? []) {
        if (type === "bind") {
          await writeFile(here(target), here(await readFile(source, "utf8")));
        }
      }
      const isOurs = service.build !== undefined;
      const environment = { ...(isOurs ? image.variables : {}), ...service.environment };
      const entrypoint = service.entrypoint ?? (isOurs ? image.entrypoint : []);
      const [program = "", ...args] = [...entrypoint, ...(service.command ?? [])];
      const env = Object.entries(environment)
        .filter(([key]) => !without.includes(key))
        .map(([key, value]) => [key, here(value)] as const);
      const child = spawn(programs.get(program) ?? program, args.map(here), {
        cwd: root,
        env: { PATH: searchPath, ...Object.fromEntries(env) },
        stdio: ["ignore", "pipe", "pipe"],
      });
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => (place.output += text));
      }
      place.child = child;
      await once(child, "spawn");
    },
    kill: async (name, signal) => stop(placeOf(places, name), signal),
    async [Symbol.asyncDispose]() {
      // A NATS node that is told politely waits for the routers to move on.
      await Promise.all([...places.values()].map(async (place) => stop(place, "SIGKILL")));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function placeOf(places: ReadonlyMap<string, Place>, name: string): Place {
  const place = places.get(name);
  if (place === undefined) throw new Error(`the compose file has no service ${name}`);
  return place;
}

async function findPrograms(): Promise<ReadonlyMap<string, string>> {
  const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
  return new Map([
    ["node", process.execPath],
    ["nats-server", path],
  ]);
}

async function readImage(): Promise<{
  readonly variables: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
}> {
  const steps: readonly DockerStep[] = (await readDockerfile()).Stages.at(-1)?.Steps ?? [];
  return {
    variables: Object.assign({}, ...steps.map(({ Variables }) => Variables ?? {})),
    entrypoint: steps.find((step) => step.Do === "ENTRYPOINT")?.Command ?? [],
  };
}

/** The directories that an engine would mount, and those of the files. */
async function layOut(service: ComposeService, directory: string): Promise<void> {
  await mkdir(join(directory, "tmp"), { recursive: true });
  for (const { type, target } of service.volumes ?? []) {
    const path = join(directory, target);
    await mkdir(type === "volume" ? path : dirname(path), { recursive: true });
  }
}

interface Local {
  readonly service: ComposeService;
  readonly place: Place;
  readonly addresses: ReadonlyMap<string, string>;
  readonly secretsDir: string;
}

/** The one place that says what is different from containers: where hosts, files and programs are. */
function localizer({ service, place, addresses, secretsDir }: Local): (text: string) => string {
  const paths = [...(service.volumes ?? []).map(({ target }) => target), "/tmp/"];
  const inContainer = new RegExp(`(?<=^|["\\s=])(${paths.join("|")})`, "g");
  return (text) =>
    text
      .replaceAll(inContainer, `${place.directory}$1`)
      .replaceAll("/run/secrets", secretsDir)
      .replaceAll(/\b(?:0\.0\.0\.0|127\.0\.0\.1)\b|(?<=^ *bind )(?=:)/gm, place.address)
      // Only as part of an address; a word that happens to be a name stays.
      .replaceAll(/(?<=[@\s])([a-z0-9-]+)(?=:\d)/g, (name) => addresses.get(name) ?? name);
}
