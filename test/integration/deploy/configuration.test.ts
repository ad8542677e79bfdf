import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findNatsServer } from "../../../src/broker/nats-binary.ts";
import { checkSettings } from "../../../src/config/settings.ts";
import { readSealKeyFile } from "../../../src/config/seal-key-file.ts";
import { runProgram } from "../../interop/program.ts";
import { deployDir, root, searchPath } from "./deploy-reader.ts";

const limits = { timeoutMs: 20_000 };

describe("what the programs make of their configuration", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "mpc-router-configuration-"));
    const made = await runProgram(
      join(deployDir, "new-secrets.sh"),
      ["--trial", "router.example", directory],
      limits,
    );
    assert.equal(made.code, 0, made.stderr);
  });
  after(async () => rm(directory, { recursive: true }));

  const passwords = async (): Promise<Record<string, string>> => {
    const lines = (await readFile(join(directory, ".env"), "utf8")).matchAll(/^(NATS_\w+)=(.*)$/gm);
    return Object.fromEntries([...lines].map(([, name, value]) => [name, value]));
  };

  it("makes secrets that the programs take, for the owner alone, and once", async () => {
    const keys = await readSealKeyFile(join(directory, "secrets/seal-keys"));
    const made = await passwords();
    assert.equal(keys.length, 1);
    assert.equal(new Set(Object.values(made)).size, 3);
    assert.ok(Object.values(made).every((password) => /^[a-p]{48}$/.test(password)));
    const again = await runProgram(join(deployDir, "new-secrets.sh"), [directory], limits);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await passwords(), made);
  });

  for (const file of ["nats.conf", "nats-tls.conf"]) {
    it(`lets nats-server take ${file}`, async () => {
      const { path } = await findNatsServer({ env: process.env, onProgress: () => undefined });
      await cp(join(deployDir, "nats"), join(directory, "nats"), { recursive: true });
      const config = join(directory, "nats", file);
      const text = await readFile(config, "utf8");
      const here = text.replaceAll("/etc/nats/tls/ca.crt", "/etc/nats/tls/tls.crt");
      await writeFile(config, here.replaceAll("/etc/nats/tls/", `${directory}/secrets/`));
      const routes = "[nats://route:abc@nats-0:6222, nats://route:abc@nats-1:6222]";
      const env = { ...(await passwords()), NATS_SERVER_NAME: "nats-0", NATS_ROUTES: routes };
      const checked = await runProgram(path, ["-t", "-c", config], { ...limits, env });
      assert.equal(checked.code, 0, checked.stderr);
    });
  }

  it("lets haproxy take its file as it stands", async () => {
    const config = join(deployDir, "haproxy/haproxy.cfg");
    const env = { PATH: searchPath };
    const checked = await runProgram("haproxy", ["-c", "-f", config], { ...limits, env });
    assert.equal(checked.code, 0, checked.stderr);
    const warnings = checked.stderr.split("\n").filter((line) => /WARNING|ALERT/.test(line));
    // There are no routers here; that it starts without them is as it should be.
    assert.ok(warnings.every((line) => line.includes("could not resolve address 'router-")));
  });
});

describe("the systemd unit", () => {
  const path = join(deployDir, "systemd/mpc-router.service");

  it("is one that systemd takes", async () => {
    const directory = await mkdtemp(join(tmpdir(), "mpc-router-unit-"));
    try {
      const unit = await readFile(path, "utf8");
      const here = join(directory, "mpc-router.service");
      // It wants to see the programs and the documentation that it names.
      await writeFile(
        here,
        unit.replaceAll("/usr/bin/node", process.execPath).replaceAll("/opt/mpc-router", root),
      );
      const checked = await runProgram("systemd-analyze", ["verify", "--man=no", here], limits);
      assert.equal(checked.code, 0, checked.stderr);
      assert.equal(checked.stderr, "");
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("leaves a service little to do harm with", async () => {
    const args = ["security", "--offline=true", "--threshold=20", "--no-pager", path];
    const checked = await runProgram("systemd-analyze", args, limits);
    assert.equal(checked.code, 0, checked.stdout);
  });

  it("has settings that a router takes, with an example of a file for the rest", async () => {
    const unit = await readFile(path, "utf8");
    const example = await readFile(join(deployDir, "systemd/router.env.example"), "utf8");
    const fromUnit = [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)];
    const fromFile = [...example.matchAll(/^(\w+)=(.*)$/gm)];
    const env = Object.fromEntries(
      [...fromUnit, ...fromFile].map(([, name, value = ""]) => [name, value]),
    ) as Record<string, string>;
    const checked = checkSettings([], env);
    assert.ok(checked.kind === "serve");
    assert.deepEqual(checked.problems, []);
    const credentials = [...unit.matchAll(/^LoadCredential=(\S+?):/gm)].map(([, name]) => name);
    const used = [...unit.matchAll(/%d\/(\S+)/g)].map(([, name]) => name);
    assert.deepEqual(used, credentials);
  });
});
