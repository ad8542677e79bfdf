import { isLoopback } from "./loopback.ts";
import { settingsTable, type Settings } from "./settings-table.ts";

/**
 * A line for each thing that is wrong with values that are right each. One that could not be parsed is missing here, and
 * then nothing is said of what it would decide.
 */
export function contradictions(settings: Partial<Settings>): readonly string[] {
  return rules.flatMap(({ names, check }) =>
    names.every((name) => name in settings) ? check(settings as Settings) : [],
  );
}

const ofTokens = ["authJwks", "authJwtSecretFile"] as const;
const ofCallers = [...ofTokens, "tlsClientCa"] as const;

/** Whether callers have to show who they are. */
export function isAuthenticated(
  settings: Pick<Settings, "authJwks" | "authJwtSecretFile" | "tlsClientCa">,
): boolean {
  return ofCallers.some((name) => settings[name] !== undefined);
}

interface Rule {
  readonly names: readonly (keyof Settings)[];
  readonly check: (settings: Settings) => readonly string[];
}

/** The check sees no setting but those that are named. */
function rule<Name extends keyof Settings>(
  names: readonly Name[],
  check: (settings: Pick<Settings, Name>) => string | false,
): Rule {
  return {
    names,
    check(settings) {
      const problem = check(settings);
      return problem === false ? [] : [problem];
    },
  };
}

const remedy = "or bind loopback (127.0.0.1)";

const rules: readonly Rule[] = [
  rule(
    ["mailboxMaxBytes", "maxPayloadBytes"],
    (settings) =>
      settings.mailboxMaxBytes < settings.maxPayloadBytes &&
      `${flag("mailboxMaxBytes")} is below ${flag("maxPayloadBytes")}`,
  ),
  // Whoever issues tokens by such keys issues them for others, too.
  ...(["authIssuer", "authAudience"] as const).flatMap((name) => [
    rule(
      ["authJwks", name],
      (settings) =>
        settings.authJwks !== undefined &&
        settings[name] === undefined &&
        `${flag("authJwks")} needs ${flag(name)}`,
    ),
    rule(
      [...ofTokens, name],
      (settings) =>
        settings[name] !== undefined &&
        ofTokens.every((kind) => settings[kind] === undefined) &&
        `${flag(name)} needs ${flag("authJwks")} or ${flag("authJwtSecretFile")}`,
    ),
  ]),
  rule(
    [...ofCallers, "sealKeyFile"],
    (settings) =>
      isAuthenticated(settings) &&
      settings.sealKeyFile === undefined &&
      `${flag("sealKeyFile")} is needed with authentication: without it the key of stored secrets lies beside them`,
  ),
  rule(
    [...ofCallers, "insecureAllowUnauthenticated"],
    (settings) =>
      isAuthenticated(settings) &&
      settings.insecureAllowUnauthenticated &&
      `${flag("insecureAllowUnauthenticated")} contradicts authentication`,
  ),
  rule(
    ["tlsCert", "tlsKey"],
    ({ tlsCert, tlsKey }) =>
      (tlsCert === undefined) !== (tlsKey === undefined) &&
      `${flag("tlsCert")} and ${flag("tlsKey")} need each other`,
  ),
  rule(
    ["tlsCert", "tlsKey", "tlsClientCa"],
    ({ tlsCert, tlsKey, tlsClientCa }) =>
      tlsClientCa !== undefined &&
      tlsCert === undefined &&
      tlsKey === undefined &&
      `${flag("tlsClientCa")} needs ${flag("tlsCert")} and ${flag("tlsKey")}`,
  ),
  rule(
    ["listen", ...ofCallers, "insecureAllowUnauthenticated"],
    (settings) =>
      !isLoopback(settings.listen.host) &&
      !isAuthenticated(settings) &&
      !settings.insecureAllowUnauthenticated &&
      `${flag("listen")} is off loopback without authentication: configure it (${ofCallers.map(flag).join(", ")}), ${remedy}`,
  ),
  rule(
    ["listen", "tlsCert", "tlsKey", "behindProxy"],
    (settings) =>
      !isLoopback(settings.listen.host) &&
      settings.tlsCert === undefined &&
      settings.tlsKey === undefined &&
      !settings.behindProxy &&
      `${flag("listen")} is off loopback in plain text: give ${flag("tlsCert")} and ${flag("tlsKey")}, put a proxy that speaks TLS in front (${flag("behindProxy")}), ${remedy}`,
  ),
];

function flag(name: keyof Settings): string {
  return settingsTable[name].flag;
}
