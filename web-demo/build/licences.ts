import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plugin } from "vite";

const packageFolder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/;

/** Collects the packages that end up in what is built, the workers' too, and writes down their licences. */
export class Licences {
  readonly #folders = new Set<string>();

  /** A plugin of its own for each bundler that is told of it. */
  plugin(): Plugin {
    return {
      name: "licences",
      generateBundle: (_options, bundle) => {
        for (const chunk of Object.values(bundle)) {
          if (chunk.type === "chunk") this.#note(chunk.moduleIds);
        }
      },
    };
  }

  /** Each licence once, with the packages it is of. Throws when a package comes without one. */
  async write(file: string): Promise<void> {
    const packagesByText = new Map<string, string[]>();
    for (const folder of [...this.#folders].toSorted()) {
      const text = await licenceIn(folder);
      packagesByText.set(text, [...(packagesByText.get(text) ?? []), await nameIn(folder)]);
    }
    const parts = [...packagesByText].map(
      ([text, packages]) => `## ${packages.join(", ")}\n\n${text.trim()}\n`,
    );
    await writeFile(file, `# What is built into this page\n\n${parts.join("\n")}`);
  }

  #note(moduleIds: readonly string[]): void {
    for (const id of moduleIds) {
      const folder = packageFolder.exec(id.replaceAll("\\", "/"))?.[0];
      if (folder !== undefined) this.#folders.add(folder.replace(/^\0/, ""));
    }
  }
}

async function licenceIn(folder: string): Promise<string> {
  const name = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (name === undefined) return `${await licenceNameIn(folder)} (the package has no text of it)`;
  return readFile(join(folder, name), "utf8");
}

async function nameIn(folder: string): Promise<string> {
  const { name, version } = await manifestIn(folder);
  return `${name} ${version}`;
}

async function licenceNameIn(folder: string): Promise<string> {
  const { name, license } = await manifestIn(folder);
  if (license === undefined) throw new Error(`${name} has no licence`);
  return license;
}

async function manifestIn(
  folder: string,
): Promise<{ readonly name: string; readonly version: string; readonly license?: string }> {
  const text = await readFile(join(folder, "package.json"), "utf8");
  return JSON.parse(text) as { name: string; version: string; license?: string };
}
