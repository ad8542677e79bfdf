import { addressText, type Address } from "../config/kinds.ts";

export interface Banner {
  readonly version: string;
  readonly address: Address;
  /** Where messages are kept, in a few words. */
  readonly store: string;
  /** What the operator should know, one line each. */
  readonly warnings: readonly string[];
}

/** What a new user sees: what runs here, and three things to try. */
export function bannerText({ version, address, store, warnings }: Banner): string {
  const at = addressText(address);
  const register = '{"party_id":"alice","party_role":"temporary"}';
  return [
    `mpc-router ${version} is ready on http://${at} (gRPC, gRPC-Web, Connect and JSON on one port)`,
    `  store: ${store}`,
    ...warnings.map((warning) => `  note: ${warning}`),
    "try:",
    `  curl http://${at}/mpc.router.v1.MessageRouter/RegisterParty -H 'content-type: application/json' -d '${register}'`,
    `  grpcurl -plaintext ${at} list`,
    `  a browser at http://${at}/`,
    "",
  ].join("\n");
}
