import { createAuthenticate, type Authenticate } from "../auth/authenticator.ts";
import { KeyProblem } from "../auth/key-sources.ts";
import { openTokenKeys, type KeyPlace } from "../auth/open-token-keys.ts";
import { createTokenVerifier } from "../auth/token-verifier.ts";
import { isAuthenticated } from "../config/contradictions.ts";
import { SettingsError } from "../config/settings-error.ts";
import { settingsTable, type Settings } from "../config/settings-table.ts";
import type { Clock } from "../domain/clock.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface AuthenticationOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface Authentication extends Disposable {
  readonly authenticate: Authenticate;
  readonly summary: AuthenticationSummary;
}

/** What the operator is told of it. */
export interface AuthenticationSummary {
  /** In a few words. */
  readonly ways: string;
  /** What a caller may show alone; a token where it may be either. */
  readonly credential: "token" | "certificate";
}

/** Resolves with nothing where callers are believed. */
export async function openAuthentication(
  options: AuthenticationOptions,
): Promise<Authentication | undefined> {
  const { settings, logger, clock } = options;
  if (!isAuthenticated(settings)) return undefined;
  const { authJwks, authJwtSecretFile, authIssuer, authAudience } = settings;
  const ways = [
    ...(authJwks === undefined ? [] : [`tokens of the keys at ${authJwks}`]),
    ...(authJwtSecretFile === undefined ? [] : ["tokens of a shared secret"]),
    ...(settings.tlsClientCa === undefined ? [] : ["client certificates"]),
  ];
  if (authJwks === undefined && authJwtSecretFile === undefined) {
    return {
      authenticate: createAuthenticate(undefined, clock),
      summary: { ways: ways.join(", "), credential: "certificate" },
      [Symbol.dispose]: () => undefined,
    };
  }
  const keys = await opened({
    keySet: placeOf("authJwks", authJwks),
    secret: placeOf("authJwtSecretFile", authJwtSecretFile),
    onNews: (news) => logger.warn({}, news),
    clock,
  });
  const verify = createTokenVerifier({ keys, issuer: authIssuer, audience: authAudience, clock });
  return {
    authenticate: createAuthenticate(verify, clock),
    summary: { ways: ways.join(", "), credential: "token" },
    [Symbol.dispose]: () => keys[Symbol.dispose](),
  };
}

function placeOf(name: keyof Settings, place: string | undefined): KeyPlace | undefined {
  return place === undefined ? undefined : { setting: settingsTable[name].flag, place };
}

async function opened(
  options: Parameters<typeof openTokenKeys>[0],
): ReturnType<typeof openTokenKeys> {
  try {
    return await openTokenKeys(options);
  } catch (error) {
    if (error instanceof KeyProblem) throw new SettingsError([error.message]);
    throw error;
  }
}
