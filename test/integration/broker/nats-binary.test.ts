import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { cachedBinaryPath, platformName } from "../../../src/broker/binary-cache.ts";
import { BrokerStartError } from "../../../src/broker/broker-errors.ts";
import { findNatsServer, type NatsBinary } from "../../../src/broker/nats-binary.ts";

const run = promisify(execFile);
const folder = `nats-server-v2.15.2-${platformName()}`;
const archiveName = `${folder}.tar.gz`;

const answering = (version: string): string => `#!/bin/sh\necho "nats-server: v${version}"\n`;

/** Stands for `go`: builds, of the pinned source alone, a program that answers as nats-server. */
const fakeGo = `#!/bin/sh
[ "$*" = "install -trimpath github.com/nats-io/nats-server/v2@v2.15.2" ] || exit 2
printf '#!/bin/sh\\necho "nats-server: v2.15.2"\\n' > "$GOBIN/nats-server"
chmod 755 "$GOBIN/nats-server"
`;

async function setup() {
  const root = await mkdtemp(join(tmpdir(), "mpc-router-binary-"));
  const onPath = join(root, "bin");
  await mkdir(onPath);
  await linkTools(onPath);
  const env: NodeJS.ProcessEnv = { PATH: onPath, XDG_CACHE_HOME: join(root, "cache") };
  const progress: string[] = [];
  const files = new Map<string, Buffer | string>();
  const requests: string[] = [];
  const server = createServer(({ url = "" }, response) => {
    requests.push(url);
    const file = files.get(url.slice(1));
    if (url === "/silent/SHA256SUMS") return;
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    root,
    env,
    progress,
    files,
    requests,
    baseUrl,
    cached: cachedBinaryPath(env),
    async script(path: string, text: string): Promise<string> {
      const whole = join(root, path);
      await mkdir(join(whole, ".."), { recursive: true });
      await writeFile(whole, text);
      await chmod(whole, 0o755);
      return whole;
    },
    find: (releaseBaseUrl = baseUrl): Promise<NatsBinary> =>
      findNatsServer({
        env,
        releaseBaseUrl,
        connectTimeoutMs: 200,
        onProgress: (line) => progress.push(line),
      }),
    hangUp: () => new Promise((resolve) => server.close(resolve)),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

type Fixture = Awaited<ReturnType<typeof setup>>;

/** The machine of the test may have a nats-server or Go on its PATH; of it only what tar and the scripts need is lent. */
async function linkTools(directory: string): Promise<void> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  for (const tool of ["tar", "gzip", "chmod"]) {
    for (const from of folders.toReversed()) {
      const isThere = (await readdir(from).catch((): string[] => [])).includes(tool);
      if (isThere) await symlink(join(from, tool), join(directory, tool)).catch(() => undefined);
    }
  }
}

/** A release of a program that answers as this version; `sums` is the text of SHA256SUMS. */
async function offerRelease(fixture: Fixture, version: string): Promise<{ sums: string }> {
  await fixture.script(`${folder}/nats-server`, answering(version));
  await run("tar", ["-czf", join(fixture.root, archiveName), "-C", fixture.root, folder]);
  const archive = await readFile(join(fixture.root, archiveName));
  const sum = createHash("sha256").update(archive).digest("hex");
  const sums = `${"0".repeat(64)}  other.zip\n${sum}  ${archiveName}\n`;
  fixture.files.set(archiveName, archive);
  fixture.files.set("SHA256SUMS", sums);
  return { sums };
}

async function failureOf(finding: Promise<unknown>): Promise<string> {
  const error: unknown = await finding.then(
    () => assert.fail("one was found"),
    (reason) => reason,
  );
  assert.ok(error instanceof BrokerStartError);
  assert.equal(error.reason, "NO_NATS_SERVER");
  return error.message;
}

describe("the search for a nats-server", () => {
  it("takes the one named in NATS_SERVER_BIN before all others", async () => {
    await using fixture = await setup();
    fixture.env["NATS_SERVER_BIN"] = await fixture.script("mine/my-nats", answering("2.14.0"));
    await fixture.script("bin/nats-server", answering("2.15.2"));
    const { path, version } = await fixture.find();
    assert.deepEqual([path, version], [fixture.env["NATS_SERVER_BIN"], "2.14.0"]);
    assert.deepEqual(fixture.progress, []);
  });

  it("says so when the named one does not work, and goes on", async () => {
    await using fixture = await setup();
    const onPath = await fixture.script("bin/nats-server", answering("2.12.3"));
    const unusable = [
      ["/nowhere/nats", /^NATS_SERVER_BIN: .*not installed; trying the next$/],
      [await fixture.script("a/old", answering("2.12.2")), /2\.12\.2, at least 2\.12\.3 is needed/],
      [
        await fixture.script("a/other", "#!/bin/sh\necho hello\n"),
        /does not answer as a nats-server/,
      ],
      [
        await fixture.script("a/failing", "#!/bin/sh\necho oh >&2\nexit 3\n"),
        /ended with code 3: oh/,
      ],
    ] as const;
    for (const [named, said] of unusable) {
      fixture.env["NATS_SERVER_BIN"] = named;
      assert.equal((await fixture.find()).path, onPath);
      assert.match(fixture.progress.pop() ?? "", said);
    }
  });

  it("takes the cached one where the one on PATH is too old", async () => {
    await using fixture = await setup();
    for (const version of ["2.12.2", "2.11.9", "1.99.99"]) {
      await fixture.script("bin/nats-server", answering(version));
      await mkdir(join(fixture.cached, ".."), { recursive: true });
      await fixture.script("made", answering("2.15.2"));
      await writeFile(fixture.cached, answering("2.15.2"), { mode: 0o755 });
      assert.equal((await fixture.find()).path, fixture.cached);
    }
    assert.deepEqual(fixture.requests, []);
  });

  it("ignores a cache directory that is not absolute", () => {
    const path = cachedBinaryPath({ XDG_CACHE_HOME: "relative", HOME: "/home/me" });
    assert.equal(path, `/home/me/.cache/mpc-router/${folder}`);
  });

  it("fetches the pinned release, checks it and caches it", async () => {
    await using fixture = await setup();
    await offerRelease(fixture, "2.15.2");
    assert.deepEqual(await fixture.find(), { path: fixture.cached, version: "2.15.2" });
    assert.deepEqual(fixture.requests, ["/SHA256SUMS", `/${archiveName}`]);
    assert.equal(fixture.progress.length, 1);
    assert.deepEqual(await fixture.find(), { path: fixture.cached, version: "2.15.2" });
    assert.equal(fixture.requests.length, 2);
    assert.deepEqual(await readdir(join(fixture.cached, "..")), [folder]);
  });

  it("lets two fetch at once", async () => {
    await using fixture = await setup();
    await offerRelease(fixture, "2.15.2");
    const found = await Promise.all([fixture.find(), fixture.find(), fixture.find()]);
    assert.ok(found.every(({ path }) => path === fixture.cached));
    assert.deepEqual(await readdir(join(fixture.cached, "..")), [folder]);
  });

  it("refuses an archive that is not the one of the sums, and caches nothing", async () => {
    await using fixture = await setup();
    const { sums } = await offerRelease(fixture, "2.15.2");
    const wrong = [
      [
        sums.replaceAll(/[0-9a-f]{64}/g, "a".repeat(64)),
        /checksum of .* is [0-9a-f]{64}, SHA256SUMS has a{64}/,
      ],
      [sums.replace(archiveName, "else.tar.gz"), /SHA256SUMS does not list/],
      [sums.replace(archiveName, `x${archiveName}`), /SHA256SUMS does not list/],
      ["", /SHA256SUMS does not list/],
      ["x".repeat(2_000_000), /SHA256SUMS: more than 1048576 bytes/],
    ] as const;
    for (const [text, said] of wrong) {
      fixture.files.set("SHA256SUMS", text);
      assert.match(await failureOf(fixture.find()), said);
      assert.deepEqual(await readdir(join(fixture.cached, "..")), []);
    }
  });

  it("refuses a release that is right by its sum and does not work", async () => {
    await using fixture = await setup();
    await offerRelease(fixture, "2.0.0");
    assert.match(await failureOf(fixture.find()), /release archive: .* is nats-server 2\.0\.0/);
    assert.deepEqual(await readdir(join(fixture.cached, "..")), []);
  });

  it("builds by go install where the release is out of reach, and caches it", async () => {
    await using fixture = await setup();
    await fixture.script("bin/go", fakeGo);
    assert.deepEqual(await fixture.find(`${fixture.baseUrl}/silent`), {
      path: fixture.cached,
      version: "2.15.2",
    });
    const [fetching, silence, building] = fixture.progress;
    assert.match(fetching ?? "", /^fetching nats-server 2\.15\.2 from http/);
    assert.match(silence ?? "", /no answer within 200 ms; trying the next$/);
    assert.match(building ?? "", /^building nats-server 2\.15\.2 by go install/);
    assert.deepEqual(await readdir(join(fixture.cached, "..")), [folder]);
  });

  it("fails in one line that has the reason of each place", async () => {
    await using fixture = await setup();
    const message = await failureOf(fixture.find());
    assert.doesNotMatch(message, /\n/);
    for (const part of [
      "NATS_SERVER_BIN: not set",
      "PATH: no nats-server in it",
      `cache: nothing at ${fixture.cached}`,
      `release archive: ${fixture.baseUrl}/SHA256SUMS: the host answers 404`,
      "go install: go is not installed",
      "Install nats-server 2.12.3 or newer",
    ]) {
      assert.ok(message.includes(part), `${part} in ${message}`);
    }
  });

  it("says that a host is not there", async () => {
    await using fixture = await setup();
    await fixture.hangUp();
    const message = await failureOf(fixture.find());
    assert.match(message, /SHA256SUMS: ECONNREFUSED/);
  });

  it("stops when it is told to", async () => {
    await using fixture = await setup();
    const searching = findNatsServer({
      env: fixture.env,
      releaseBaseUrl: `${fixture.baseUrl}/silent`,
      connectTimeoutMs: 60_000,
      onProgress: () => undefined,
      signal: AbortSignal.timeout(50),
    });
    await assert.rejects(searching, { name: "TimeoutError" });
  });
});
