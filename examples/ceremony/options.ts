import { parseArgs } from "node:util";
import type { IssuerSettings } from "./issuer.ts";

export interface CeremonyOptions {
  /** Router to use. */
  readonly url: string;
  /** Whether to start a router when none answers: only at the default URL, a named one must be there. */
  readonly mayStartRouter: boolean;
  /** For a router with authentication. */
  readonly issuer?: IssuerSettings | undefined;
  /** Key generations, each with one signature by another pair of the three parties. */
  readonly runs: number;
  readonly pauseMs: number;
  /** For everything, in milliseconds. */
  readonly deadlineMs: number;
  /** The result as one line of JSON on standard output; the story goes to standard error. */
  readonly json: boolean;
  readonly help: boolean;
}

const defaultUrl = "http://127.0.0.1:8080";

export const usage: string = `Usage: npm run ceremony -- [options]

Three party processes make a 2-of-3 key and sign with it (FROST, RFC 9591) through a running router.

  --url URL          the router (default ${defaultUrl}; one is started when none answers there)
  --token-key FILE   the router wants tokens: issue them with this key, which "mpc-router token key" made
  --issuer TEXT      and --audience TEXT: what the tokens say there, where the router checks it
  --runs N           how often, 1 to 1000 (default 1)
  --pause-ms N       rest before each round, 0 to 60000 (default 0)
  --deadline-s N     give up after that time, 1 to 3600 (default 120)
  --json             print the result as one line of JSON, the story to standard error
  --help             print this
`;

/** Throws with a message for the user when the arguments are not understood. */
export function readOptions(args: readonly string[]): CeremonyOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: "string" },
      "token-key": { type: "string" },
      issuer: { type: "string" },
      audience: { type: "string" },
      runs: { type: "string", default: "1" },
      "pause-ms": { type: "string", default: "0" },
      "deadline-s": { type: "string", default: "120" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    url: requireUrl(values.url ?? defaultUrl),
    mayStartRouter: values.url === undefined,
    issuer: issuerOf(values),
    runs: requireWhole("--runs", values.runs, { min: 1, max: 1_000 }),
    pauseMs: requireWhole("--pause-ms", values["pause-ms"], { min: 0, max: 60_000 }),
    deadlineMs: requireWhole("--deadline-s", values["deadline-s"], { min: 1, max: 3_600 }) * 1_000,
    json: values.json,
    help: values.help,
  };
}

function issuerOf(values: {
  readonly "token-key"?: string | undefined;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}): IssuerSettings | undefined {
  const { "token-key": keyPath, issuer, audience } = values;
  if (keyPath !== undefined) return { keyPath, issuer, audience };
  if (issuer === undefined && audience === undefined) return undefined;
  throw new Error("--issuer and --audience are for tokens, which want a --token-key");
}

function requireUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new Error("--url must be an http or https URL");
  }
  return url.origin;
}

function requireWhole(name: string, text: string, range: { min: number; max: number }): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < range.min || value > range.max) {
    throw new Error(`${name} must be a whole number from ${range.min} to ${range.max}`);
  }
  return value;
}
