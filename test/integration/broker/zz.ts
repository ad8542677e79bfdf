import { startNatsServer } from "../../support/nats-server.ts";
const t=performance.now();
await using s = await startNatsServer();
console.log(s.url, s.pid, performance.now()-t);
const t2=performance.now();
await s.kill("SIGKILL"); await s.restart();
console.log(s.url, s.pid, performance.now()-t2);
