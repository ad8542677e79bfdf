import type { LogLevel } from "../telemetry/logger.ts";
import {
  address,
  bytes,
  duration,
  opaqueText,
  path,
  wholeNumber,
  word,
  yesOrNo,
  type Address,
  type Kind,
} from "./kinds.ts";
import { keySetPlace, natsUrl, originList, type NatsTarget } from "./url-kinds.ts";

/** How a router is set up. What each value means is said in {@link settingsTable}. */
export interface Settings {
  readonly listen: Address;
  readonly nats: NatsTarget | undefined;
  readonly dataDir: string;
  readonly ackWaitMs: number;
  readonly presenceTimeoutMs: number;
  readonly maxRefusals: number;
  readonly maxPayloadBytes: number;
  readonly mailboxMaxMessages: number;
  readonly mailboxMaxBytes: number;
  readonly sessionTtlMs: number;
  readonly callsPerSecond: number;
  readonly callBurst: number;
  readonly connectionCallsPerSecond: number;
  readonly maxStreamsPerParty: number;
  readonly maxSessionsPerCoordinator: number;
  readonly sealKeyFile: string | undefined;
  readonly authJwks: string | undefined;
  readonly authJwtSecretFile: string | undefined;
  readonly authIssuer: string | undefined;
  readonly authAudience: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly tlsClientCa: string | undefined;
  readonly behindProxy: boolean;
  readonly insecureAllowUnauthenticated: boolean;
  readonly demo: boolean;
  readonly allowedOrigins: readonly string[];
  readonly logLevel: LogLevel;
}

export interface Setting<T> {
  /** As in `--ack-wait`. */
  readonly flag: string;
  /** As in `MPC_ROUTER_ACK_WAIT`. */
  readonly env: string;
  readonly kind: Kind<NonNullable<T>>;
  /** As somebody would write it. Undefined: without this setting there is no value. */
  readonly defaultText: string | undefined;
  readonly description: string;
}

type SettingsTable = { readonly [Name in keyof Settings]: Setting<Settings[Name]> };

/** Every setting: the source of the parser, of --help and of the table in the documentation. */
export const settingsTable: SettingsTable = {
  listen: setting("listen", address(), {
    defaultText: "127.0.0.1:8080",
    description: "Where the router serves all protocols; port 0 takes any free one.",
  }),
  nats: setting("nats-url", natsUrl(), {
    description:
      "NATS cluster with JetStream to store in; without it the router runs a nats-server of its own.",
  }),
  dataDir: setting("data-dir", path(), {
    defaultText: "./.mpc-router",
    description:
      "Data of the router's own nats-server; in the working directory, so that two checkouts share nothing and removing it is a clean start.",
  }),
  ackWaitMs: setting("ack-wait", duration("100ms", "1h"), {
    defaultText: "30s",
    description: "A message not acknowledged for this long is delivered again.",
  }),
  presenceTimeoutMs: setting("presence-timeout", duration("1s", "1h"), {
    defaultText: "60s",
    description: "A party not heard of for this long counts as offline.",
  }),
  maxRefusals: setting("max-refusals", wholeNumber(1, 1_000), {
    defaultText: "5",
    description: "After this many refusals by its recipient a message has failed.",
  }),
  maxPayloadBytes: setting("max-payload", bytes("1KiB", "8MiB"), {
    defaultText: "1MiB",
    description: "Largest payload of a message.",
  }),
  mailboxMaxMessages: setting("mailbox-max-messages", wholeNumber(1, 1_000_000), {
    defaultText: "10000",
    description: "Unacknowledged messages that one party may have waiting in one session.",
  }),
  mailboxMaxBytes: setting("mailbox-max-bytes", bytes("1KiB", "1TiB"), {
    defaultText: "256MiB",
    description: "Unacknowledged payload that one party may have waiting in one session.",
  }),
  sessionTtlMs: setting("session-ttl", duration("1s", "7d"), {
    defaultText: "10m",
    description: "Lifetime of a session that is made without one.",
  }),
  callsPerSecond: setting("rate-limit", wholeNumber(1, 1_000_000), {
    defaultText: "500",
    description: "Calls a second of one party, on each router; counted with authentication only.",
  }),
  callBurst: setting("rate-burst", wholeNumber(1, 1_000_000), {
    defaultText: "1000",
    description: "Calls that a party may make at once, after a time with fewer.",
  }),
  connectionCallsPerSecond: setting("connection-rate-limit", wholeNumber(1, 1_000_000), {
    defaultText: "10000",
    description:
      "Calls a second of one connection, whoever makes them; as many may be made at once.",
  }),
  maxStreamsPerParty: setting("max-streams-per-party", wholeNumber(1, 100_000), {
    defaultText: "100",
    description:
      "Streams and long polls that one party may have open, on each router; counted with authentication only.",
  }),
  maxSessionsPerCoordinator: setting("max-sessions-per-coordinator", wholeNumber(1, 10_000_000), {
    defaultText: "100000",
    description:
      "Live sessions that one coordinator may have; without authentication all callers are one.",
  }),
  sealKeyFile: setting("seal-key-file", path(), {
    description:
      "File of the keys that secrets are sealed with: 32 bytes of base64 a line, the first is current.",
  }),
  authJwks: setting("auth-jwks", keySetPlace(), {
    description:
      "JSON web key set that tokens are verified with (EdDSA, ES256, RS256); wants an issuer and an audience.",
  }),
  authJwtSecretFile: setting("auth-jwt-secret-file", path(), {
    description: "File of the secret, of at least 32 bytes, that HS256 tokens are verified with.",
  }),
  authIssuer: setting("auth-issuer", opaqueText(), {
    description: "What the iss of every token must be.",
  }),
  authAudience: setting("auth-audience", opaqueText(), {
    description: "What the aud of every token must be or have in it.",
  }),
  tlsCert: setting("tls-cert", path(), {
    description: "Certificate chain (PEM); with it the port speaks TLS only. Wants the key.",
  }),
  tlsKey: setting("tls-key", path(), {
    description: "Private key (PEM) of the certificate.",
  }),
  tlsClientCa: setting("tls-client-ca", path(), {
    description:
      "Authorities (PEM) of client certificates, which then say who calls, alone or beside a token.",
  }),
  behindProxy: setting("behind-proxy", yesOrNo(), {
    defaultText: "false",
    description: "A proxy in front speaks TLS: lets the router speak plain text off loopback.",
  }),
  insecureAllowUnauthenticated: setting("insecure-allow-unauthenticated", yesOrNo(), {
    defaultText: "false",
    description: "Lets the router be reached off loopback by anybody, as anybody.",
  }),
  demo: setting("demo", yesOrNo(), {
    defaultText: "false",
    description: "Serves the demo page with authentication, or off loopback, as well.",
  }),
  allowedOrigins: setting("allowed-origins", originList(), {
    defaultText: `${localOrigins("http")},${localOrigins("https")}`,
    description: "Web origins whose pages may call the router.",
  }),
  logLevel: setting("log-level", word(["debug", "info", "warn", "error"]), {
    defaultText: "info",
    description: "Least level of what is logged.",
  }),
};

function localOrigins(scheme: string): string {
  return ["localhost", "127.0.0.1", "[::1]"].map((host) => `${scheme}://${host}:*`).join(",");
}

function setting<T>(
  name: string,
  kind: Kind<NonNullable<T>>,
  texts: { readonly defaultText?: string; readonly description: string },
): Setting<T> {
  return {
    flag: `--${name}`,
    env: `MPC_ROUTER_${name.toUpperCase().replaceAll("-", "_")}`,
    kind,
    defaultText: texts.defaultText,
    description: texts.description,
  };
}
