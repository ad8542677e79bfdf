import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { JWTHeaderParameters } from "jose";
import { KeyProblem } from "../../../src/auth/key-sources.ts";
import { openTokenKeys } from "../../../src/auth/open-token-keys.ts";
import type { TokenKeys } from "../../../src/auth/token-keys.ts";
import { isRouterError } from "../../../src/domain/errors.ts";
import { until } from "../../support/until.ts";
import { signingKey, type SigningKey } from "../../unit/auth/keys.ts";

const setting = "--auth-jwks";

interface Opened extends Disposable {
  readonly keys: TokenKeys;
  readonly news: readonly string[];
  readonly clock: { forwardMs: number };
}

async function open(place: string): Promise<Opened> {
  const news: string[] = [];
  const clock = { forwardMs: 0, nowMs: (): number => Date.now() + clock.forwardMs };
  const keys = await openTokenKeys({
    keySet: { setting, place },
    secret: undefined,
    onNews: (line) => news.push(line),
    clock,
  });
  return { keys, news, clock, [Symbol.dispose]: () => keys[Symbol.dispose]() };
}

function headerOf({ alg, publicJwk }: SigningKey): JWTHeaderParameters {
  return { alg, kid: publicJwk.kid ?? "" };
}

function setText(...keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) });
}

/** Serves a key set until it is told otherwise. */
async function startKeyServer(content: string): Promise<
  AsyncDisposable & {
    readonly url: string;
    content: string;
    requests: number;
    answer: ((response: ServerResponse) => void) | undefined;
  }
> {
  const server = createServer((_request, response) => {
    state.requests += 1;
    if (state.answer === undefined) response.end(state.content);
    else state.answer(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const state = {
    url: `http://127.0.0.1:${port}/keys`,
    content,
    requests: 0,
    answer: undefined as ((response: ServerResponse) => void) | undefined,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return state;
}

async function scratch(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mpc-router-keys-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("a key set at a URL", () => {
  it("is read again for a key that is not in it, but not for every such token", async () => {
    const [old, fresh] = [await signingKey("EdDSA", "old"), await signingKey("EdDSA", "fresh")];
    await using server = await startKeyServer(setText(old));
    using opened = await open(server.url);
    await opened.keys.keyFor(headerOf(old));
    server.content = setText(old, fresh);
    await assert.rejects(opened.keys.keyFor(headerOf(fresh)));
    assert.equal(server.requests, 1);
    opened.clock.forwardMs += 30_000;
    await opened.keys.keyFor(headerOf(fresh));
    await opened.keys.keyFor(headerOf(old));
    for (let count = 0; count < 20; count += 1) {
      await assert.rejects(opened.keys.keyFor({ alg: "ES256", kid: `invented-${count}` }));
    }
    assert.equal(server.requests, 2);
    assert.equal(opened.keys.generation(), 2);
  });

  it("stays as it was while nothing better comes, and the operator is told once", async () => {
    const key = await signingKey("EdDSA");
    await using server = await startKeyServer(setText(key));
    using opened = await open(server.url);
    const bad: readonly ((response: ServerResponse) => void)[] = [
      (response) => response.writeHead(500).end(setText()),
      (response) => response.writeHead(302, { location: server.url }).end(),
      (response) => response.end("no key set"),
      (response) => response.end("x".repeat(300_000)),
      (response) => response.destroy(),
      (response) => void response.writeHead(200),
    ];
    for (const answer of bad) {
      server.answer = answer;
      opened.clock.forwardMs += 30_000;
      const startedAt = performance.now();
      await assert.rejects(opened.keys.keyFor({ alg: "ES256", kid: "new" }));
      assert.ok(performance.now() - startedAt < 5_000, "the fetch is bounded");
      await opened.keys.keyFor(headerOf(key));
    }
    assert.equal(opened.keys.generation(), 1);
    assert.deepEqual(opened.news, [`${setting}: ${server.url} answers with status 500`]);
  });

  it("need not be there at the start: it is asked for again", async () => {
    const key = await signingKey("EdDSA");
    await using server = await startKeyServer(setText(key));
    server.answer = (response) => response.destroy();
    using opened = await open(server.url);
    await assert.rejects(opened.keys.keyFor(headerOf(key)), (error) =>
      isRouterError(error, "AUTH_KEYS_UNAVAILABLE"),
    );
    server.answer = undefined;
    opened.clock.forwardMs += 1_000;
    await opened.keys.keyFor(headerOf(key));
  });

  it("is fetched once for all who wait for it", async () => {
    const key = await signingKey("EdDSA");
    await using server = await startKeyServer(setText(key));
    using opened = await open(server.url);
    opened.clock.forwardMs += 30_000;
    const unknown = Array.from({ length: 50 }, (_, index) =>
      opened.keys.keyFor({ alg: "EdDSA", kid: `unknown-${index}` }).catch(() => undefined),
    );
    await Promise.all(unknown);
    assert.equal(server.requests, 2);
  });
});

describe("a key set in a file", () => {
  it("is read again when it changes, and stays as it was while the file is no key set", async () => {
    const [old, fresh] = [await signingKey("EdDSA", "old"), await signingKey("EdDSA", "fresh")];
    await using directory = await scratch();
    const path = join(directory.path, "keys.json");
    await writeFile(path, setText(old));
    using opened = await open(path);
    await writeFile(path, "half a");
    await until("the bad file is noticed", () => opened.news.length === 1);
    assert.deepEqual(opened.news, [`${setting}: ${path} is no JSON web key set`]);
    await opened.keys.keyFor(headerOf(old));
    // As mounted secrets are swapped.
    const other = join(directory.path, "other.json");
    await writeFile(other, setText(fresh));
    await rename(other, path);
    await until("the new file is noticed", () => opened.keys.generation() === 2);
    await opened.keys.keyFor(headerOf(fresh));
    await assert.rejects(opened.keys.keyFor(headerOf(old)));
  });

  it("has to be there at the start", async () => {
    await using directory = await scratch();
    const path = join(directory.path, "none.json");
    await assert.rejects(open(path), (error) => {
      assert.ok(error instanceof KeyProblem);
      assert.equal(error.message, `${setting}: ${path} cannot be read (ENOENT)`);
      return true;
    });
    await assert.rejects(open(directory.path), /cannot be read \(EISDIR\)/);
  });
});
