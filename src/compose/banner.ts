import { addressText, type Address } from "../config/kinds.ts";
import type { AuthenticationSummary } from "./authentication.ts";

export interface Banner {
  readonly version: string;
  readonly address: Address;
  readonly scheme: "http" | "https";
  /** Where messages are kept, in a few words. */
  readonly store: string;
  /** How callers show who they are; undefined where they are believed. */
  readonly authentication: AuthenticationSummary | undefined;
  /** Whether browsers are given the demo. */
  readonly isForBrowsers: boolean;
  /** What the operator should know, one line each. */
  readonly warnings: readonly string[];
}

/** How the two programs show a credential. */
interface Shown {
  readonly curl: string;
  readonly grpcurl: string;
}

const none: Shown = { curl: "", grpcurl: "" };
const bearer = ' -H "authorization: Bearer $TOKEN"';
const options: Record<AuthenticationSummary["credential"], Shown> = {
  token: { curl: bearer, grpcurl: bearer },
  certificate: { curl: ' --cert "$CERT" --key "$KEY"', grpcurl: ' -cert "$CERT" -key "$KEY"' },
};

/** What a new user sees: what runs here, and three things to try. */
export function bannerText(banner: Banner): string {
  const { version, address, scheme, store, authentication, warnings } = banner;
  const at = addressText(address);
  return [
    `mpc-router ${version} is ready on ${scheme}://${at} (gRPC, gRPC-Web, Connect and JSON on one port)`,
    `  store: ${store}`,
    ...(authentication === undefined ? [] : [`  authentication: ${authentication.ways}`]),
    ...warnings.map((warning) => `  note: ${warning}`),
    "try:",
    ...thingsToTry(banner, at).map((thing) => `  ${thing}`),
    "",
  ].join("\n");
}

function thingsToTry(
  { authentication, isForBrowsers, scheme }: Banner,
  at: string,
): readonly string[] {
  const register = '{"party_id":"alice","party_role":"temporary"}';
  const shown = authentication === undefined ? none : options[authentication.credential];
  const plainText = scheme === "http" ? " -plaintext" : "";
  return [
    `curl ${scheme}://${at}/mpc.router.v1.MessageRouter/RegisterParty${shown.curl} -H 'content-type: application/json' -d '${register}'`,
    `grpcurl${plainText}${shown.grpcurl} ${at} list`,
    ...(isForBrowsers ? [`a browser at ${scheme}://${at}/`] : []),
  ];
}
