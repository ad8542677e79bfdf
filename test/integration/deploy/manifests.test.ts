import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { pinnedVersion } from "../../../src/broker/nats-version.ts";
import { checkSettings } from "../../../src/config/settings.ts";
import {
  deployDir,
  readCompose,
  readDockerfile,
  readManifests,
  root,
  type ComposeProject,
  type ComposeService,
  type DockerStage,
  type Manifest,
} from "./deploy-reader.ts";

/** How long a router may take to drain, as in src/main.ts, in seconds. */
const drainS = 9;

/** What an operator fills in. */
const filledIn = [
  "NATS_ROUTE_PASSWORD=aaaa",
  "NATS_ROUTER_PASSWORD=bbbb",
  "NATS_OPERATOR_PASSWORD=cccc",
  "AUTH_JWKS=https://issuer.example/keys",
  "AUTH_ISSUER=https://issuer.example/",
  "AUTH_AUDIENCE=mpc-router",
];

const { version, devDependencies } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
) as { readonly version: string; readonly devDependencies: Readonly<Record<string, string>> };

/** What a router makes of these variables: nothing to complain of, or the start would end with code 78. */
function assertGoodSettings(env: Readonly<Record<string, string>>): void {
  const checked = checkSettings([], env);
  assert.ok(checked.kind === "serve");
  assert.deepEqual(checked.problems, []);
}

function variablesOf(stage: DockerStage | undefined): Readonly<Record<string, string>> {
  return Object.assign({}, ...(stage?.Steps ?? []).map(({ Variables }) => Variables ?? {}));
}

describe("the image", () => {
  it("is read without a warning, and pins what is tested", async () => {
    const { Stages, Warnings } = await readDockerfile();
    assert.deepEqual(Warnings, []);
    assert.deepEqual(
      Stages.map(({ Base }) => Base),
      [
        `nats:${pinnedVersion}-alpine`,
        `node:${devDependencies["node"]}-bookworm-slim`,
        `node:${devDependencies["node"]}-bookworm-slim`,
      ],
    );
  });

  it("starts as nobody special, with Node as process 1", async () => {
    const steps = (await readDockerfile()).Stages.at(-1)?.Steps ?? [];
    const entrypoint = steps.find((step) => step.Do === "ENTRYPOINT");
    assert.equal(steps.find((step) => step.Do === "USER")?.Value, "1000:1000");
    assert.equal(entrypoint?.Command?.[0], "node");
    assert.notEqual(entrypoint?.InShell, true);
  });

  it("does not start without being told who may call", async () => {
    const checked = checkSettings([], variablesOf((await readDockerfile()).Stages.at(-1)));
    assert.ok(checked.kind === "serve");
    assert.match(checked.problems.join("\n"), /off loopback without authentication/);
  });
});

for (const file of ["single.yaml", "cluster.yaml"]) {
  describe(`compose/${file}`, () => {
    let project: ComposeProject;
    let directory: string;
    before(async () => {
      directory = await mkdtemp(join(tmpdir(), "mpc-router-env-"));
      const envPath = join(directory, ".env");
      await writeFile(envPath, filledIn.join("\n"));
      project = await readCompose(join(deployDir, "compose", file), envPath);
    });
    after(async () => rm(directory, { recursive: true }));

    it("confines every container", () => {
      for (const [name, service] of Object.entries(project.services)) {
        assert.equal(service.read_only, true, name);
        assert.deepEqual(service.cap_drop, ["ALL"], name);
        assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
        assert.equal(service.restart, "unless-stopped", name);
        assert.equal(service.privileged ?? false, false, name);
      }
    });

    it("gives the routers settings that they take, and the time to drain", async () => {
      const variables = variablesOf((await readDockerfile()).Stages.at(-1));
      const routers = Object.entries(project.services).filter(([name]) =>
        name.startsWith("router"),
      );
      assert.ok(routers.length > 0);
      for (const [name, service] of routers) {
        assertGoodSettings({ ...variables, ...service.environment });
        assert.equal(service.image, `mpc-router:${version}`);
        assert.ok(Number.parseInt(service.stop_grace_period ?? "", 10) > drainS, name);
        assert.deepEqual(missingSecrets(service), [], name);
      }
    });

    it("does not start before the operator has filled in what only they know", async () => {
      for (const left of filledIn.filter((line) => line.startsWith("AUTH"))) {
        const envPath = join(directory, "incomplete");
        await writeFile(envPath, filledIn.filter((line) => line !== left).join("\n"));
        const reading = readCompose(join(deployDir, "compose", file), envPath);
        await assert.rejects(reading, new RegExp(`variable ${left.split("=")[0]} is missing`));
      }
    });
  });
}

/** Paths under /run/secrets that the environment names and no secret is mounted at. */
function missingSecrets({ environment = {}, secrets = [] }: ComposeService): readonly string[] {
  const mounted = new Set(secrets.map(({ source }) => `/run/secrets/${source}`));
  return Object.values(environment).filter(
    (value) => value.startsWith("/run/secrets/") && !mounted.has(value),
  );
}

interface Labels {
  readonly [name: string]: string;
}

interface Workload {
  readonly replicas: number;
  readonly selector: { readonly matchLabels: Labels };
  readonly template: {
    readonly metadata: { readonly labels: Labels };
    readonly spec: PodSpec;
  };
  readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number };
  readonly affinity: { readonly podAntiAffinity: object };
  readonly volumes: readonly Volume[];
  readonly containers: readonly Container[];
}

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly configMap?: { readonly name: string };
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string; readonly scheme: string };
}

interface Container {
  readonly image: string;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly env: readonly Variable[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly sleep?: { readonly seconds: number } } };
  readonly securityContext: object;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string } };
}

describe("the Kubernetes manifests", () => {
  let manifests: readonly Manifest[];
  before(async () => (manifests = await readManifests(join(deployDir, "kubernetes"))));

  const specOf = <T>(kind: string, name: string): T => {
    const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
    assert.ok(found?.spec, `${kind} ${name}`);
    return found.spec as T;
  };
  const workloads = (): readonly Workload[] => [
    specOf<Workload>("Deployment", "router"),
    specOf<Workload>("StatefulSet", "nats"),
  ];
  const configMap = (prefix: string): Manifest => {
    const found = manifests.find(
      ({ kind, metadata }) => kind === "ConfigMap" && metadata.name.startsWith(prefix),
    );
    assert.ok(found, prefix);
    return found;
  };

  it("are all that is needed, in one namespace", () => {
    const kinds = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    for (const expected of [
      "Deployment router",
      "NetworkPolicy nats",
      "NetworkPolicy nothing",
      "NetworkPolicy router",
      "PodDisruptionBudget nats",
      "PodDisruptionBudget router",
      "Service nats",
      "Service router",
      "StatefulSet nats",
    ]) {
      assert.ok(kinds.includes(expected), expected);
    }
    const others = manifests.filter(({ kind }) => kind !== "Namespace");
    assert.ok(others.every(({ metadata }) => metadata.namespace === "mpc-router"));
  });

  it("confine every container, and spread the pods", () => {
    for (const { template } of workloads()) {
      const { spec } = template;
      assert.equal(spec.securityContext.runAsNonRoot, true);
      assert.equal(spec.securityContext.runAsUser, 1000);
      assert.equal(spec.automountServiceAccountToken, false);
      assert.equal(spec.enableServiceLinks, false);
      assert.ok(Object.keys(spec.affinity.podAntiAffinity).length > 0);
      for (const container of spec.containers) {
        assert.deepEqual(container.securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
      }
    }
  });

  it("mount every volume that they name, from what is there or from the secrets of the operator", () => {
    const secrets = new Set(["nats-passwords", "router-seal-keys", "router-tls"]);
    const maps = new Set(
      manifests.filter(({ kind }) => kind === "ConfigMap").map(({ metadata }) => metadata.name),
    );
    for (const { template, volumeClaimTemplates = [] } of workloads()) {
      const { volumes, containers } = template.spec;
      const names = [...volumes, ...volumeClaimTemplates.map(({ metadata }) => metadata)];
      const known = new Set(names.map(({ name }) => name));
      for (const { secret, configMap: map } of volumes) {
        assert.ok(secret === undefined || secrets.has(secret.secretName), secret?.secretName);
        assert.ok(map === undefined || maps.has(map.name), map?.name);
      }
      for (const { volumeMounts, env, envFrom = [] } of containers) {
        assert.deepEqual(new Set(volumeMounts.map(({ name }) => name)), known);
        assert.ok(envFrom.every(({ configMapRef }) => maps.has(configMapRef.name)));
        const references = env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []);
        assert.ok(references.every(({ name }) => secrets.has(name)));
      }
    }
  });

  it("select the pods that they are about", () => {
    const [router, nats] = workloads();
    for (const [name, workload] of [
      ["router", router],
      ["nats", nats],
    ] as const) {
      const labels = workload?.template.metadata.labels;
      assert.deepEqual(labels, { app: name });
      assert.deepEqual(workload?.selector.matchLabels, labels);
      assert.deepEqual(specOf<{ selector: Labels }>("Service", name).selector, labels);
      const budget = specOf<{ selector: { matchLabels: Labels } }>("PodDisruptionBudget", name);
      assert.deepEqual(budget.selector.matchLabels, labels);
    }
  });

  it("give the routers settings that they take, probes that they answer, and the time to drain", async () => {
    const { template, replicas } = specOf<Workload>("Deployment", "router");
    const [container] = template.spec.containers;
    assert.ok(container);
    const image = variablesOf((await readDockerfile()).Stages.at(-1));
    const fromSecrets = container.env.flatMap(({ name, value }) =>
      name.startsWith("MPC_ROUTER_") ? [[name, (value ?? "").replaceAll(/\$\(\w+\)/g, "x")]] : [],
    );
    const own = Object.fromEntries(fromSecrets) as Record<string, string>;
    assertGoodSettings({ ...image, ...configMap("router-settings").data, ...own });
    assert.equal(replicas, 2);
    assert.equal(container.image, `registry.example/mpc-router:${version}`);
    assert.equal(container.livenessProbe.httpGet?.path, "/livez");
    assert.equal(container.readinessProbe.httpGet?.path, "/readyz");
    assert.equal(container.readinessProbe.httpGet?.scheme, "HTTPS");
    assert.deepEqual(container.ports, [{ name: "parties", containerPort: 8443 }]);
    const sleepS = container.lifecycle.preStop.sleep?.seconds ?? 0;
    assert.ok(template.spec.terminationGracePeriodSeconds > sleepS + drainS);
  });

  it("run three nodes of the tested NATS on the very configuration of the compose file", () => {
    const { template, replicas } = specOf<Workload>("StatefulSet", "nats");
    const [container] = template.spec.containers;
    const config = readFileSync(join(deployDir, "nats/nats.conf"), "utf8");
    assert.equal(replicas, 3);
    assert.equal(container?.image, `nats:${pinnedVersion}-alpine`);
    assert.equal(configMap("nats-config").data?.["nats.conf"], config);
    const variables = new Set(container?.env.map(({ name }) => name));
    const named = [...config.matchAll(/^[^#\n]*\$(\w+)/gm)].map(([, name = ""]) => name);
    assert.ok(named.length >= 5);
    assert.deepEqual(
      named.filter((name) => !variables.has(name)),
      [],
    );
  });
});
