import { createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { MessageRouter, type SessionEvent } from "../../../gen/mpc/router/v1/message_router_pb.js";
import { opened, read, type Reader } from "../../support/sessions.ts";

export type RouterClient = Client<typeof MessageRouter>;

export function routerClient(baseUrl: string): RouterClient {
  return createClient(MessageRouter, createGrpcTransport({ baseUrl }));
}

/** Resolves when the stream has begun: from then on it misses nothing. */
export async function subscribe(
  router: RouterClient,
  partyId: string,
): Promise<Reader<SessionEvent>> {
  let reader: Reader<SessionEvent> | undefined;
  await opened((onHeader) => {
    reader = read((signal) => router.subscribeSessionEvents({ partyId }, { signal, onHeader }));
  });
  if (reader === undefined) throw new Error("nothing was subscribed to");
  return reader;
}
