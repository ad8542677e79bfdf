import { startApp } from "./test-app.ts";

/** The app in a process of its own, so that its memory and its event loop are nobody else's. */
const app = await startApp({ timeouts: { firstBytesMs: 2_000, headersMs: 2_000 } });
process.on("disconnect", () => process.exit(0));
process.send?.({ port: app.port });
