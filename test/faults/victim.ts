import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FromParty, PartySettings, ToParty } from "../../examples/ceremony/party-messages.ts";
import { until } from "../support/until.ts";

const program = fileURLToPath(new URL("../../examples/ceremony/party.ts", import.meta.url));

/** When the victim is killed; at the last it has sent all that the others need. */
export const moments = [
  "before it joins",
  "in round 1",
  "in round 2",
  "before it reports",
] as const;

export type Moment = (typeof moments)[number];

/** A party of a key generation, as a process that is killed at its moment. */
export interface Victim extends AsyncDisposable {
  /** Its public identity keys, in base64. */
  readonly publicKey: string;
  /** Tells it the keys of the others; resolves when it is registered, and dead where it dies before it joins. */
  introduce(keys: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves when it is dead. */
  readonly killed: Promise<void>;
}

export async function startVictim(settings: PartySettings, moment: Moment): Promise<Victim> {
  const child = fork(program, [JSON.stringify(settings)]);
  // It ends by itself when this process is gone.
  const killed = once(child, "exit").then(() => undefined);
  let publicKey = "";
  let isRegistered = false;
  let sent = 0;
  child.on("message", (news: FromParty) => {
    if (news.kind === "up") publicKey = news.publicKey;
    if (news.kind === "registered") isRegistered = true;
    if (news.kind === "sent" && news.type === "frost/dkg2") sent += 1;
    const isTime =
      (moment === "before it joins" && isRegistered) ||
      (moment === "in round 1" && news.kind === "round" && news.round === 1) ||
      (moment === "in round 2" && news.kind === "round" && news.round === 2) ||
      (moment === "before it reports" && sent === 2);
    if (isTime) child.kill("SIGKILL");
  });
  await until("the party is up", () => publicKey !== "", 30_000);
  return {
    publicKey,
    killed,
    async introduce(keys) {
      child.send({ kind: "peers", keys } satisfies ToParty);
      await until("the party is registered", () => isRegistered, 30_000);
      if (moment === "before it joins") await killed;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await killed;
    },
  };
}
