import { unknownName } from "./nearest-name.ts";

const prefix = "MPC_ROUTER_";

/** Kubernetes sets such variables in every pod beside a service that is called mpc-router or mpc-router-something. */
const ofKubernetes =
  /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const serviceUrl = /^(tcp|udp|sctp):\/\//;

/** A line for each variable that reads as one of ours and is none. */
export function unknownVariables(
  env: NodeJS.ProcessEnv,
  known: readonly string[],
): readonly string[] {
  return Object.entries(env)
    .filter(([name]) => name.startsWith(prefix) && !known.includes(name))
    .filter(([name, text]) => !isOfKubernetes(name, text ?? ""))
    .map(([name]) => unknownName(prefix, name, known));
}

function isOfKubernetes(name: string, text: string): boolean {
  return ofKubernetes.test(name) || (name.endsWith("_PORT") && serviceUrl.test(text));
}
