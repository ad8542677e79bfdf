import { issueToken } from "../../src/cli/token-issue.ts";

/** How tokens are made for a router with authentication. */
export interface IssuerSettings {
  /** File of a key, as `mpc-router token key` makes it. */
  readonly keyPath: string;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}

/** Who tells a router who is who. In production that is not the wallet's backend alone. */
export interface Issuer {
  party(partyId: string): Promise<string>;
  coordinator(): Promise<string>;
}

/** Longer than any ceremony. */
const ttl = "--ttl=2h";

export function createIssuer({ keyPath, issuer, audience }: IssuerSettings): Issuer {
  const common = [
    `--key=${keyPath}`,
    ttl,
    ...(issuer === undefined ? [] : [`--issuer=${issuer}`]),
    ...(audience === undefined ? [] : [`--audience=${audience}`]),
  ];
  const issue = async (...flags: readonly string[]): Promise<string> =>
    (await issueToken([...common, ...flags])).trim();
  return {
    party: (partyId) => issue(`--party=${partyId}`, "--party-role=persistent"),
    coordinator: () => issue("--coordinator"),
  };
}
