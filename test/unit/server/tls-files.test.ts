import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readTlsFiles, type TlsFiles, TlsFilesError } from "../../../src/server/tls-files.ts";
import type { TlsMaterial } from "../../../src/server/tls-port.ts";
import { watchTlsFiles } from "../../../src/server/tls-watch.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { TestAuthority } from "../../support/certificates.ts";
import { until } from "../../support/until.ts";

const authority = new TestAuthority();
const pair = authority.issue();
const other = authority.issue();

describe("the files of a TLS port", () => {
  it("are read where they belong together", async () => {
    await using set = await fileSet();
    const chain = pair.cert + authority.cert;
    await set.write({ cert: chain, key: pair.key, clientCa: authority.cert });
    assert.deepEqual(await readTlsFiles(set.files), {
      cert: chain,
      key: pair.key,
      clientCa: authority.cert,
    });
    const { cert, key } = set.files;
    assert.deepEqual(await readTlsFiles({ cert, key }), { cert: chain, key: pair.key });
  });

  const keyBody = pair.key.split("\n")[1] ?? "";
  const encrypted = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
  }).privateKey;
  const short = generateKeyPairSync("rsa", { modulusLength: 512 }).privateKey;
  for (const [what, change, file, problem] of [
    ["a chain that is a key", { cert: pair.key }, "cert", "has no PEM certificate in it"],
    [
      "a broken certificate",
      { cert: pair.cert.replace(/^MII./m, "MIIx") },
      "cert",
      "has a certificate in it that cannot be read",
    ],
    [
      "a broken one later in the chain",
      { cert: pair.cert + authority.cert.replace(/^MII./m, "MIIx") },
      "cert",
      "has a certificate in it that cannot be read",
    ],
    ["no key", { key: "" }, "key", "has no PEM private key in it"],
    [
      "a key cut short",
      { key: pair.key.replace(keyBody, "") },
      "key",
      "has no PEM private key in it",
    ],
    ["an encrypted key", { key: encrypted }, "key", "is encrypted: it must be a key without"],
    [
      "a key of another certificate",
      { key: other.key },
      "key",
      "is not the key of the first certificate in",
    ],
    [
      "a chain whose first certificate is not the server's",
      { cert: authority.cert + pair.cert },
      "key",
      "is not the key of the first certificate in",
    ],
    [
      "a short key that fits nothing",
      { key: short.export({ type: "pkcs8", format: "pem" }) as string },
      "key",
      "is not the key of the first certificate in",
    ],
    ["no authority", { clientCa: "x" }, "clientCa", "has no PEM certificate in it"],
    [
      "an authority that is none",
      { clientCa: pair.cert },
      "clientCa",
      "has a certificate in it that is no certificate authority's",
    ],
  ] as const) {
    it(`are refused by name, and nothing of them is quoted: ${what}`, async () => {
      await using set = await fileSet();
      await set.write({ ...pair, clientCa: authority.cert, ...change });
      await assert.rejects(readTlsFiles(set.files), (error: unknown) => {
        assert(error instanceof TlsFilesError);
        const { message } = error;
        assert(message.startsWith(`${set.files[file] ?? ""}: ${problem}`), message);
        assert(!message.includes(keyBody.slice(0, 8)));
        return true;
      });
    });
  }

  it("are refused by name where they are not there", async () => {
    await using set = await fileSet();
    await set.write({ ...pair });
    await assert.rejects(readTlsFiles(set.files), {
      message: `${set.files.clientCa}: cannot be read (ENOENT)`,
    });
  });
});

describe("files that are watched", () => {
  it("replace what is in use once both halves are there; what is broken is said once", async () => {
    await using set = await fileSet();
    await set.write({ ...pair, clientCa: authority.cert });
    await using watch = await startWatch(set.files);

    await set.write({ cert: other.cert });
    await until("half a pair is noticed", () => watch.lines.length === 1);
    assert.match(watch.lines[0] ?? "", /certificates not replaced/);
    assert(!watch.lines[0]?.includes("PRIVATE"));
    assert.equal(watch.changes.length, 0);

    await set.write({ key: other.key });
    await until("the pair is replaced", () => watch.changes.length === 1);
    assert.equal(watch.changes[0]?.cert, other.cert);
    assert.equal(watch.lines.length, 2);
  });

  it("may be links that are turned elsewhere, as Kubernetes does", async () => {
    await using set = await fileSet();
    for (const [version, { cert, key }] of [
      ["v1", pair],
      ["v2", other],
    ] as const) {
      await mkdir(join(set.directory, version));
      await writeFile(join(set.directory, version, "cert.pem"), cert);
      await writeFile(join(set.directory, version, "key.pem"), key);
    }
    const data = join(set.directory, "..data");
    await symlink("v1", data);
    for (const name of ["cert.pem", "key.pem"]) {
      await symlink(join("..data", name), join(set.directory, name));
    }
    await using watch = await startWatch({ cert: set.files.cert, key: set.files.key });
    await symlink("v2", `${data}.new`);
    await rename(`${data}.new`, data);
    await until("the pair is replaced", () => watch.changes.length === 1);
    assert.deepEqual(watch.changes, [other]);
  });
});

async function startWatch(files: TlsFiles) {
  const stop = new AbortController();
  const changes: TlsMaterial[] = [];
  const lines: string[] = [];
  watchTlsFiles(files, {
    current: await readTlsFiles(files),
    onChange: (material) => changes.push(material),
    logger: createLogger({ level: "info", destination: { write: (line) => lines.push(line) } }),
    signal: stop.signal,
    intervalMs: 10,
  });
  return {
    changes,
    lines,
    [Symbol.asyncDispose]: () => {
      stop.abort();
      return Promise.resolve();
    },
  };
}

async function fileSet() {
  const directory = await mkdtemp(join(tmpdir(), "mpc-router-tls-"));
  const files = {
    cert: join(directory, "cert.pem"),
    key: join(directory, "key.pem"),
    clientCa: join(directory, "clients.pem"),
  };
  return {
    directory,
    files,
    async write(texts: Partial<TlsMaterial>) {
      for (const name of ["cert", "key", "clientCa"] as const) {
        const text = texts[name];
        if (text === undefined) continue;
        // Never seen half written.
        await writeFile(`${files[name]}.new`, text);
        await rename(`${files[name]}.new`, files[name]);
      }
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
