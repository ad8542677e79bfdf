import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getTls } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";
import { MessageRouter } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { runProgram } from "../../interop/program.ts";
import { refuses } from "../../support/sessions.ts";
import { until } from "../../support/until.ts";
import { prepareCompose, type ComposeRun } from "./compose-run.ts";
import { deployDir, readCompose, root } from "./deploy-reader.ts";

const nodes = ["nats-0", "nats-1", "nats-2"];
const routers = ["router-1", "router-2"];

const issuer = "https://issuer.example/";

/** The ceremony has no tokens; on loopback it needs none. */
const without = ["MPC_ROUTER_AUTH_JWKS", "MPC_ROUTER_AUTH_ISSUER", "MPC_ROUTER_AUTH_AUDIENCE"];

describe("the cluster of the compose file, as plain processes", () => {
  let cluster: Cluster;
  before(async () => (cluster = await startCluster()));
  after(async () => cluster[Symbol.asyncDispose]());

  it("becomes ready behind the balancer, with every stream on three nodes", async () => {
    assert.equal(await readiness(cluster.url), 200);
    const streams = await streamsOf(cluster.run.addressOf("nats-0"));
    assert.ok(streams.length >= 9, `only ${streams.length} streams`);
    assert.deepEqual(new Set(streams.map(({ config }) => config.num_replicas)), new Set([3]));
  });

  it("makes a key and a signature through the balancer", async () => {
    const ended = await ceremony(cluster);
    assert.equal(ended.code, 0, ended.stderr);
  });

  it("makes one while either router is killed and started again", async () => {
    await using running = startCeremony(cluster, "--runs=4", "--pause-ms=100");
    await running.says(/verified/);
    for (const router of routers) {
      await cluster.run.kill(router, "SIGKILL");
      await running.says(/verified/);
      await startRouter(cluster, router, without);
    }
    assert.equal(await running.exited, 0, running.output());
  });

  it("makes one while a node of NATS is gone, and takes the node back", async () => {
    await cluster.run.kill("nats-2", "SIGKILL");
    const ended = await ceremony(cluster);
    assert.equal(ended.code, 0, ended.stderr);
    await cluster.run.start("nats-2");
    await until("the node is whole again", async () => isHealthy(cluster.run, "nats-2"), 20_000);
  });

  it("serves whoever has a token of the issuer that the file names, and nobody else", async () => {
    for (const router of routers) {
      await cluster.run.kill(router, "SIGTERM");
      await startRouter(cluster, router);
    }
    const token = await new SignJWT({ role: "party" })
      .setProtectedHeader({ alg: "ES256", kid: "test" })
      .setSubject("alice")
      .setIssuer(issuer)
      .setAudience(issuer)
      .setExpirationTime("5m")
      .sign(cluster.privateKey);
    const authorization = `Bearer ${token}`;
    // The balancer takes some seconds to see that routers are back.
    const isServed = (): Promise<boolean> =>
      register(cluster, { authorization }).catch(() => false);
    await until("the balancer leads to a router", isServed, 20_000);
    await refuses(register(cluster), Code.Unauthenticated, "UNAUTHENTICATED");
  });

  it("keeps out of NATS whoever has not its password", async () => {
    const url = `nats://route:wrong@${cluster.run.addressOf("nats-0")}:4222`;
    const args = ["src/main.ts", `--nats-url=${url}`, "--listen=127.0.0.1:0"];
    const ended = await runProgram(process.execPath, args, { cwd: root, timeoutMs: 20_000 });
    assert.equal(ended.code, 1);
    assert.match(ended.stderr, /cannot connect to NATS/);
  });
});

/** A party's first call, by the certificate that the balancer's address has. */
async function register(
  cluster: Cluster,
  headers: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const ca = await readFile(cluster.certificatePath, "utf8");
  const transport = createGrpcTransport({ baseUrl: cluster.url, nodeOptions: { ca } });
  const request = { partyId: "alice", partyRole: "temporary" };
  return (await createClient(MessageRouter, transport).registerParty(request, { headers })).success;
}

interface Cluster extends AsyncDisposable {
  readonly run: ComposeRun;
  /** Of the balancer. */
  readonly url: string;
  readonly certificatePath: string;
  /** Of the token issuer. */
  readonly privateKey: CryptoKey;
}

async function startCluster(): Promise<Cluster> {
  await using resources = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-secrets-"));
  resources.defer(async () => rm(directory, { recursive: true, force: true }));
  const secretsDir = join(directory, "secrets");
  await newSecrets(directory);
  const envPath = join(directory, ".env");
  const env = await readFile(envPath, "utf8");
  // In a container it would be a URL, or one secret more.
  const issued = env.replaceAll(/^(AUTH_\w+)=$/gm, `$1=${issuer}`);
  await writeFile(
    envPath,
    issued.replace(`AUTH_JWKS=${issuer}`, "AUTH_JWKS=/run/secrets/jwks.json"),
  );
  const { privateKey, publicKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "test", alg: "ES256", use: "sig" };
  await writeFile(join(secretsDir, "jwks.json"), JSON.stringify({ keys: [key] }));
  const project = await readCompose(join(deployDir, "compose/cluster.yaml"), envPath);
  const run = resources.use(await prepareCompose({ project, secretsDir }));
  await newSecrets("--trial", run.addressOf("balancer"), directory);
  await Promise.all(nodes.map(async (node) => run.start(node)));
  await until("the nodes have found each other", async () => isHealthy(run, "nats-0"), 20_000);
  const url = `https://${run.addressOf("balancer")}:8443`;
  const cluster = { run, url, certificatePath: join(secretsDir, "tls.crt"), privateKey };
  await Promise.all(routers.map(async (router) => startRouter(cluster, router, without)));
  await run.start("balancer");
  await isReady(run, "balancer", url);
  const held = resources.move();
  return { ...cluster, [Symbol.asyncDispose]: async () => held.disposeAsync() };
}

async function newSecrets(...args: readonly string[]): Promise<void> {
  const script = join(deployDir, "new-secrets.sh");
  const ended = await runProgram(script, args, { timeoutMs: 10_000 });
  assert.equal(ended.code, 0, ended.stderr);
}

async function startRouter(
  { run }: Pick<Cluster, "run">,
  router: string,
  left: readonly string[] = [],
): Promise<void> {
  await run.start(router, left);
  const url = `https://${run.addressOf(router)}:8443`;
  await isReady(run, router, url);
}

async function isReady(run: ComposeRun, service: string, url: string): Promise<void> {
  try {
    await until(`${service} is ready`, async () => (await readiness(url)) === 200, 20_000);
  } catch (error) {
    throw new Error(`${service} is not ready:\n${run.output(service)}`, { cause: error });
  }
}

/** The status of the answer, or 0 where there is none. The ceremony verifies the certificate; this need not. */
async function readiness(url: string, path = "/readyz"): Promise<number> {
  const options = { rejectUnauthorized: false, timeout: 2_000, agent: false };
  const request = (url.startsWith("https:") ? getTls : getPlain)(`${url}${path}`, options);
  request.on("timeout", () => request.destroy());
  try {
    const [answer] = (await once(request, "response")) as [IncomingMessage];
    answer.resume();
    return answer.statusCode ?? 0;
  } catch {
    return 0;
  }
}

async function isHealthy(run: ComposeRun, node: string): Promise<boolean> {
  return (await readiness(`http://${run.addressOf(node)}:8222`, "/healthz")) === 200;
}

interface StreamDetail {
  readonly name: string;
  readonly config: { readonly num_replicas: number };
}

async function streamsOf(address: string): Promise<readonly StreamDetail[]> {
  const answer = await fetch(`http://${address}:8222/jsz?accounts=true&streams=true&config=true`);
  const body = (await answer.json()) as {
    readonly account_details: readonly { readonly stream_detail?: readonly StreamDetail[] }[];
  };
  return body.account_details.flatMap(({ stream_detail = [] }) => stream_detail);
}

const program = join(root, "examples/ceremony/main.ts");

async function ceremony({ url, certificatePath }: Cluster) {
  const env = { NODE_EXTRA_CA_CERTS: certificatePath };
  const args = [program, "--url", url, "--json", "--deadline-s=40"];
  return runProgram(process.execPath, args, { env, timeoutMs: 45_000 });
}

interface RunningCeremony extends AsyncDisposable {
  readonly exited: Promise<number | null>;
  output(): string;
  /** Resolves when it has said so once more. */
  says(what: RegExp): Promise<void>;
}

function startCeremony({ url, certificatePath }: Cluster, ...args: string[]): RunningCeremony {
  const child = spawn(process.execPath, [program, "--url", url, "--deadline-s=50", ...args], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: certificatePath },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let heardTo = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const exited = once(child, "close").then(([code]) => code as number | null);
  return {
    exited,
    output: () => output,
    async says(what) {
      const hear = (): boolean => {
        const found = what.exec(output.slice(heardTo));
        if (found === null) return false;
        heardTo += found.index + found[0].length;
        return true;
      };
      await until(`the ceremony says ${what}`, hear, 40_000);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
