import type { PartyFaults } from "../../src/party/index.ts";

/** How a party talks to the router: three wire protocols of one contract. */
export type Protocol = "grpc" | "grpc-web" | "connect-json";

export const protocolNames: Readonly<Record<Protocol, string>> = {
  grpc: "gRPC over HTTP/2",
  "grpc-web": "gRPC-Web over HTTP/1.1",
  "connect-json": "Connect JSON over HTTP/1.1",
};

/** What a party process is started with. */
export interface PartySettings {
  readonly url: string;
  readonly partyId: string;
  readonly protocol: Protocol;
  /** How long the party rests before each round, in milliseconds: room for a test to break something. */
  readonly pauseMs: number;
}

/** What the main process tells a party, out of band: it never goes through the router. */
export type ToParty =
  /** The public keys (base64) of all parties, by party id, and the party's credential for the router, if it wants any. */
  | {
      readonly kind: "peers";
      readonly keys: Readonly<Record<string, string>>;
      readonly token?: string | undefined;
    }
  /** Permission to sign this hash (hex) with the key of that session; anything else is refused. */
  | { readonly kind: "approve"; readonly messageHash: string; readonly keygenSessionId: string };

/** A message on its way out. Times are Unix milliseconds with fractions. */
export interface Sent {
  readonly kind: "sent";
  readonly messageId: string;
  readonly sentAt: number;
  readonly round: number;
  readonly type: string;
  /** Sealed, as the router sees them. */
  readonly bytes: number;
}

/** A message at its recipient, for the first time. */
export interface Received {
  readonly kind: "received";
  readonly messageId: string;
  readonly receivedAt: number;
}

export interface Finished {
  readonly kind: "finished";
  readonly sessionId: string;
  readonly partyIndex: number;
  /** Hex: the public key of a keygen session, the signature of a sign session. */
  readonly result: string;
  readonly faults: PartyFaults;
}

/** What a party tells the main process. */
export type FromParty =
  /** The process runs and made its keys; the public ones (base64). */
  | { readonly kind: "up"; readonly publicKey: string }
  | { readonly kind: "registered" }
  | { readonly kind: "approved"; readonly messageHash: string }
  /** What the party waits for, such as "frost/dkg1 from", and whose move it is. */
  | { readonly kind: "waiting"; readonly what: string; readonly parties: readonly string[] }
  | { readonly kind: "round"; readonly session: string; readonly round: number }
  /** Why the last call or stream failed; empty when the router answers again. */
  | { readonly kind: "trouble"; readonly message: string }
  | Sent
  | Received
  | Finished
  | { readonly kind: "failed"; readonly message: string };
