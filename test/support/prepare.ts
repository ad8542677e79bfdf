import { findNatsServer } from "../../src/broker/nats-binary.ts";

/** Gets what many tests need and may take a minute, once and in sight, before they run side by side. */
const { path, version } = await findNatsServer({
  env: process.env,
  onProgress: (line) => process.stdout.write(`${line}\n`),
});
process.stdout.write(`nats-server ${version}: ${path}\n`);
