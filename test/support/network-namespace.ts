import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

/** Machines of a network of its own, each a network namespace: nothing of it is seen outside, and nothing outside of it. */
export interface TestNetwork extends AsyncDisposable {
  /** For files of the machines, gone with the network. */
  readonly directory: string;
  /** Starts a program on the machine; it ends with the network. */
  run(machine: number, program: string, args: readonly string[]): ChildProcess;
  /** The port on this machine by which a port of a machine's own loopback is reached. */
  reach(machine: number, port: number): Promise<number>;
  /** Takes the machine off the network: what is sent vanishes, without a sign. */
  cut(machine: number): void;
  heal(machine: number): void;
}

/** Of the operating system, as `mount` is. */
const ipProgram = "ip";

/** Of a machine, counted from 0. */
export function addressOf(machine: number): string {
  return `10.231.0.${machine + 1}`;
}

/** Needs the right to make namespaces (root). Where it is missing it says so and fails: a fault that is not made proves nothing. */
export async function createNetwork(machines: number): Promise<TestNetwork> {
  const prefix = `mpcr-${randomBytes(3).toString("hex")}`;
  const hub = `${prefix}-hub`;
  const nameOf = (machine: number): string => `${prefix}-${machine}`;
  const names = [hub, ...Array.from({ length: machines }, (_, machine) => nameOf(machine))];
  const children = new Set<ChildProcess>();
  const removeAll = (): void => {
    for (const child of children) child.kill("SIGKILL");
    for (const name of names) tryIp("netns", "delete", name);
  };
  // A test that throws its process away must not leave the network on the machine.
  process.once("exit", removeAll);
  try {
    lay(hub, names.slice(1));
  } catch (error) {
    process.off("exit", removeAll);
    removeAll();
    throw new Error("this test makes network namespaces, which needs root", { cause: error });
  }
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-network-"));
  const stack = new AsyncDisposableStack();
  const run = (machine: number, program: string, args: readonly string[]): ChildProcess => {
    const command = ["netns", "exec", nameOf(machine), program, ...args];
    const child = spawn(ipProgram, command, { stdio: ["ignore", "pipe", "pipe"] });
    children.add(child);
    return child;
  };
  return {
    directory,
    run,
    async reach(machine, port) {
      const path = join(directory, `${machine}-${port}.sock`);
      run(machine, process.execPath, ["-e", relayProgram, path, String(port)]);
      const server = stack.use(createServer((socket) => pipeBoth(socket, connect(path))));
      await until("the relay listens", () => answers(path));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return (server.address() as AddressInfo).port;
    },
    cut: (machine) => ip("-n", hub, "link", "set", `port${machine}`, "down"),
    heal: (machine) => ip("-n", hub, "link", "set", `port${machine}`, "up"),
    async [Symbol.asyncDispose]() {
      process.off("exit", removeAll);
      const running = [...children].filter(
        ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
      );
      const ended = running.map((child) => once(child, "exit"));
      removeAll();
      await Promise.all(ended);
      await stack.disposeAsync();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A switch in a namespace of its own, and a cable from it to every machine. */
function lay(hub: string, names: readonly string[]): void {
  ip("netns", "add", hub);
  ip("-n", hub, "link", "add", "switch", "type", "bridge");
  ip("-n", hub, "link", "set", "switch", "up");
  for (const [machine, name] of names.entries()) {
    const port = `port${machine}`;
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
    ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name);
    ip("-n", hub, "link", "set", port, "master", "switch", "up");
    ip("-n", name, "address", "add", `${addressOf(machine)}/24`, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
  }
}

function ip(...args: readonly string[]): void {
  execFileSync(ipProgram, args, { stdio: ["ignore", "ignore", "pipe"] });
}

function tryIp(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // It was never made, or is gone.
  }
}

/** Sockets in the file system reach across network namespaces. */
const relayProgram = `
  const { connect, createServer } = require("node:net");
  const [path, port] = process.argv.slice(1);
  createServer((near) => {
    const far = connect(Number(port), "127.0.0.1");
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) {
      socket.on("error", () => {});
      socket.on("close", () => { near.destroy(); far.destroy(); });
    }
  }).listen(path);`;

function pipeBoth(near: Socket, far: Socket): void {
  near.pipe(far).pipe(near);
  for (const socket of [near, far]) {
    socket.on("error", () => undefined);
    socket.on("close", () => {
      near.destroy();
      far.destroy();
    });
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
