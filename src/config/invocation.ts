import { readSealKeyFile } from "./seal-key-file.ts";
import { SettingsError } from "./settings-error.ts";
import type { Settings } from "./settings-table.ts";
import { checkSettings } from "./settings.ts";

/** What the command line asks for, with what it takes. */
export type Invocation =
  | {
      readonly kind: "serve";
      readonly settings: Settings;
      /** 32 bytes each, the first is current; none without a seal key file. */
      readonly sealKeys: readonly Uint8Array[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "version" };

/**
 * Reads the settings, and the file that they name: once, since it may be a pipe. Throws one SettingsError with
 * everything that is wrong in either.
 */
export async function readInvocation(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Invocation> {
  const checked = checkSettings(args, env);
  if (checked.kind !== "serve") return checked;
  const { sealKeys, problems } = await checkSealKeys(checked.settings.sealKeyFile);
  const all = [...checked.problems, ...problems];
  if (all.length > 0) throw new SettingsError(all);
  // Nothing is missing where nothing is wrong.
  return { kind: "serve", settings: checked.settings as Settings, sealKeys };
}

interface CheckedSealKeys {
  readonly sealKeys: readonly Uint8Array[];
  readonly problems: readonly string[];
}

async function checkSealKeys(path: string | undefined): Promise<CheckedSealKeys> {
  if (path === undefined) return { sealKeys: [], problems: [] };
  try {
    return { sealKeys: await readSealKeyFile(path), problems: [] };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { sealKeys: [], problems: error.problems };
  }
}
