import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer } from "../../src/broker/nats-binary.ts";

/** Gets what many tests need and may take a minute, once and in sight, before they run side by side. */
const { path, version } = await findNatsServer({
  env: process.env,
  onProgress: (line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`nats-server ${version}: ${path}\n`);

const goModules = ["test/interop/go", "test/integration/deploy/reader", "examples/go-party"];
for (const name of goModules) {
  process.stdout.write(`compiling ${name}\n`);
  compile(join(import.meta.dirname, "../..", name));
}

/** Go keeps what it has compiled; the programs themselves are made by those who run them. */
function compile(directory: string): void {
  const thrownAway = mkdtempSync(join(tmpdir(), "mpc-router-compile-"));
  try {
    const args = ["build", "-o", `${thrownAway}/`, "./..."];
    const { status } = spawnSync("go", args, { cwd: directory, stdio: "inherit" });
    if (status !== 0) process.exit(1);
  } finally {
    rmSync(thrownAway, { recursive: true, force: true });
  }
}
