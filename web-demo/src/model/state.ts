import type { Field } from "../parties/party-messages.ts";
import type { RoundId } from "../parties/rounds.ts";

export type Pace = "watch" | "step" | "full";

type LinkState = "starting" | "connecting" | "connected" | "reconnecting";

/** A party as its panel shows it. */
export interface PartyState {
  readonly id: string;
  readonly name: string;
  /** "elsewhere": it runs in another tab, or on another device. */
  readonly place: "here" | "elsewhere";
  readonly link: LinkState;
  /** The user has cut it off. */
  readonly isOffline: boolean;
  /** For a party elsewhere: whether the router sees it. */
  readonly isSeen: boolean;
  /** Its seat in the session, from 0. */
  readonly partyIndex?: number;
  readonly activity: string;
  /** Of the newest key. */
  readonly hasShare: boolean;
  readonly losesAcknowledgement: boolean;
  readonly tampers: boolean;
}

/** pending to failed: as the router says. */
type DeliveryStatus = "pending" | "delivered" | "acknowledged" | "failed";

/** A message on its way to one recipient. */
export interface DeliveryState {
  readonly to: string;
  readonly status: DeliveryStatus;
  readonly retries: number;
  /** Unix milliseconds; 0: not yet. */
  readonly deliveredAt: number;
  readonly acknowledgedAt: number;
  /** What the recipient read. */
  readonly opened?: readonly Field[];
  /** Why the recipient would not read it. */
  readonly refusal?: string;
  /** What came in instead of what was sent. */
  readonly changedPayload?: Uint8Array;
}

export interface MessageState {
  readonly id: string;
  readonly sessionId: string;
  readonly roundId: RoundId;
  readonly from: string;
  readonly isBroadcast: boolean;
  readonly round: number;
  readonly type: string;
  readonly payload: Uint8Array;
  /** Unix milliseconds, when this page first heard of it. */
  readonly seenAt: number;
  readonly deliveries: readonly DeliveryState[];
}

/** A message that its sender would send, if the page let it. */
export interface Want {
  readonly partyId: string;
  readonly ticket: number;
  readonly sessionId: string;
  readonly roundId: RoundId;
  readonly to: readonly string[];
}

type Stage = "idle" | "keygen" | "sign" | "done" | "failed";

/** A key, and the newest signature with it. Bytes in hex. */
export interface RunState {
  readonly stage: Stage;
  readonly keygenSessionId?: string | undefined;
  readonly signSessionId?: string | undefined;
  readonly signers: readonly string[];
  readonly publicKey?: string | undefined;
  /** What the newest signature is for. */
  readonly message: string;
  readonly signature?: string | undefined;
  readonly isVerified?: boolean | undefined;
  readonly failure?: string | undefined;
  /** What everybody waits for, in a line. */
  readonly progress: string;
  /** From the click to the verified signature, in milliseconds. */
  readonly tookMs?: number | undefined;
}

export type Tone = "plain" | "good" | "warn" | "bad";

export interface LogEntry {
  readonly id: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly tone: Tone;
  readonly text: string;
}

/** A signature that this tab's user is asked for. */
export interface Question {
  readonly sessionId: string;
  readonly messageHash: string;
}

/** Tokens that the page cannot go on without. */
export interface WantedTokens {
  readonly coordinator: boolean;
  /** These parties, by id. */
  readonly parties: readonly string[];
  /** At least so many parties, whoever they are. */
  readonly leastParties: number;
}

export interface State {
  readonly parties: readonly PartyState[];
  readonly thresholdT: number;
  /** Who takes part in a session, as its invitation says. */
  readonly rosters: ReadonlyMap<string, readonly string[]>;
  readonly messages: readonly MessageState[];
  readonly wants: readonly Want[];
  readonly run: RunState;
  readonly log: readonly LogEntry[];
  readonly pace: Pace;
  /** The page's own calls do not reach the router. */
  readonly isRouterAway: boolean;
  readonly question?: Question | undefined;
  /** What the user is asked for. */
  readonly wanted?: WantedTokens | undefined;
}

export const initialRun: RunState = { stage: "idle", signers: [], message: "", progress: "" };

export const initialState: State = {
  parties: [],
  thresholdT: 2,
  rosters: new Map(),
  messages: [],
  wants: [],
  run: initialRun,
  log: [],
  pace: "watch",
  isRouterAway: false,
};
