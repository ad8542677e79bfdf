import type { RoundId } from "./rounds.ts";

/** What the page tells a party's worker. */
export type Order =
  | {
      readonly kind: "start";
      readonly partyId: string;
      /** Of the router. */
      readonly origin: string;
      /** Secret keys that came with a link; without them the party makes its own. */
      readonly identity?: Uint8Array | undefined;
      /** Whether the router wants a credential of it, which it then asks the page for. */
      readonly isAuthenticated: boolean;
    }
  /** The credential that the party has asked for. */
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "peers"; readonly publicIdentities: ReadonlyMap<string, Uint8Array> }
  /** That hash may be signed in that session, with the key of the keygen session; or with the newest one. */
  | {
      readonly kind: "approve";
      readonly sessionId: string;
      readonly messageHash: string;
      readonly keygenSessionId?: string | undefined;
    }
  /** How long a message is looked at before it counts as processed, in milliseconds. */
  | { readonly kind: "reading"; readonly ms: number }
  /** The message of that ticket may be sent. */
  | { readonly kind: "go"; readonly ticket: number }
  | { readonly kind: "line"; readonly isOffline: boolean }
  | { readonly kind: "lose-acknowledgement"; readonly isArmed: boolean }
  | { readonly kind: "tamper"; readonly isArmed: boolean }
  /** Hand out the secret keys: the party moves. */
  | { readonly kind: "export" };

/** A message as the router sees it. */
export interface RoutedMessage {
  readonly messageId: string;
  readonly sessionId: string;
  readonly from: string;
  /** Empty: everybody else. */
  readonly to: readonly string[];
  readonly isBroadcast: boolean;
  readonly round: number;
  readonly type: string;
  readonly payload: Uint8Array;
}

/** A part of an opened message. */
export interface Field {
  readonly label: string;
  readonly hex: string;
  readonly isSecret?: boolean;
}

/** What a party's worker tells the page. */
export type News =
  | { readonly kind: "up"; readonly publicIdentity: Uint8Array }
  | { readonly kind: "exported"; readonly identity: Uint8Array }
  | { readonly kind: "wants-token" }
  | { readonly kind: "link"; readonly state: "connecting" | "connected" | "reconnecting" }
  | {
      readonly kind: "invited";
      readonly sessionId: string;
      readonly session: "keygen" | "sign";
      readonly parties: readonly string[];
      readonly thresholdT: number;
      readonly thresholdN: number;
      readonly messageHash: string;
    }
  | { readonly kind: "asked"; readonly sessionId: string; readonly messageHash: string }
  | { readonly kind: "joined"; readonly sessionId: string; readonly partyIndex: number }
  | { readonly kind: "started"; readonly sessionId: string }
  | {
      readonly kind: "waiting";
      readonly sessionId: string;
      readonly roundId: RoundId;
      readonly missing: readonly string[];
    }
  | {
      readonly kind: "wants";
      readonly ticket: number;
      readonly sessionId: string;
      readonly roundId: RoundId;
      /** Empty: everybody else. */
      readonly to: readonly string[];
    }
  | { readonly kind: "sent"; readonly message: RoutedMessage }
  | { readonly kind: "arrived"; readonly message: RoutedMessage; readonly isRepeat: boolean }
  | { readonly kind: "changed"; readonly messageId: string; readonly payload: Uint8Array }
  | { readonly kind: "opened"; readonly messageId: string; readonly fields: readonly Field[] }
  | { readonly kind: "refused"; readonly messageId: string; readonly reason: string }
  | { readonly kind: "acknowledgement-lost"; readonly messageId: string }
  | {
      readonly kind: "finished";
      readonly sessionId: string;
      readonly session: "keygen" | "sign";
      /** The public key or the signature, in hex. */
      readonly result: string;
    }
  | { readonly kind: "stopped"; readonly sessionId: string; readonly reason: string }
  | { readonly kind: "failed"; readonly text: string };
