import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { startIssuer } from "../support/credentials.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { openChannel, type GrpcChannel } from "./grpc-channel.ts";
import { usageOf } from "./process-usage.ts";
import type { LoadProgram, Size } from "./program.ts";
import { median } from "./statistics.ts";

const partyId = "party";
const callsAtOnce = 32;
const callsPerBlock: Record<Size, number> = { full: 2_000, smoke: 50 };
/** Calls with tokens must come to nine tenths of those without. */
const mostSlowdown = 1 / 0.9;
/** What bounds a party must not bound this one. */
const flags = ["--rate-limit=1000000", "--rate-burst=1000000", "--connection-rate-limit=1000000"];

interface Side {
  readonly router: RouterProcess;
  readonly channel: GrpcChannel;
  readonly callsPerSecond: number[];
  readonly cpuMicrosPerCall: number[];
}

export const tokens: LoadProgram = {
  name: "tokens",
  about: "the same calls with a token on every one and without, in turn",
  defaultSeconds: 60,
  async run(size, seconds) {
    await using resources = new AsyncDisposableStack();
    const issuer = resources.use(await startIssuer());
    const nats = resources.use(await startNatsServer());
    const open = async (
      args: readonly string[],
      headers: Record<string, string>,
    ): Promise<Side> => {
      const router = resources.use(
        await startRouter({ args: [`--nats-url=${nats.url}`, ...flags, ...args] }),
      );
      const channel = resources.use(await openChannel(router.url, headers));
      return { router, channel, callsPerSecond: [], cpuMicrosPerCall: [] };
    };
    const authorization = `Bearer ${await issuer.party(partyId)}`;
    const sealing = issuer.flags.filter((flag) => flag.startsWith("--seal"));
    const sides = [await open(issuer.flags, { authorization }), await open(sealing, {})] as const;
    const [withTokens, without] = sides;
    const { method } = MessageRouter;
    const party = { partyId, partyRole: "persistent" };
    for (const { channel } of sides) await channel.call(method.registerParty, party);
    for (const side of sides) await block(side, callsPerBlock[size]);
    for (const { callsPerSecond, cpuMicrosPerCall } of sides) {
      callsPerSecond.length = 0;
      cpuMicrosPerCall.length = 0;
    }
    const endsAt = performance.now() + seconds * 1_000;
    for (let round = 0; performance.now() < endsAt; round += 1) {
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        await block(side, callsPerBlock[size]);
      }
    }
    const [rate, rateWithout] = sides.map(({ callsPerSecond }) => median(callsPerSecond));
    return {
      figures: [
        { name: "with tokens", value: rate ?? Number.NaN, unit: "calls a second" },
        { name: "without", value: rateWithout ?? Number.NaN, unit: "calls a second" },
        {
          name: "without, of with tokens",
          value: median(ratios(without.callsPerSecond, withTokens.callsPerSecond)),
          unit: "x",
          ...(size === "full" ? { most: mostSlowdown } : {}),
        },
        {
          name: "router's processor, with of without",
          value: median(ratios(withTokens.cpuMicrosPerCall, without.cpuMicrosPerCall)),
          unit: "x",
        },
      ],
      faults: [],
    };
  },
};

/** Blocks that stood side by side are compared, so that what slows the machine for a while slows both. */
function ratios(some: readonly number[], others: readonly number[]): readonly number[] {
  return some.map((value, index) => value / (others[index] ?? Number.NaN));
}

async function block(side: Side, calls: number): Promise<void> {
  const before = await usageOf(side.router.pid);
  const startedAt = performance.now();
  let left = calls;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await side.channel.call(MessageRouter.method.heartbeat, { partyId });
    }
  };
  await Promise.all(Array.from({ length: callsAtOnce }, work));
  side.callsPerSecond.push((calls * 1_000) / (performance.now() - startedAt));
  const { cpuSeconds } = await usageOf(side.router.pid);
  side.cpuMicrosPerCall.push(((cpuSeconds - before.cpuSeconds) * 1e6) / calls);
}
