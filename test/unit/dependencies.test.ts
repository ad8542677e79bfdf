import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly license?: string;
  readonly integrity?: string;
}

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const allowed = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "0BSD"];
/** As permissive, and brought by what file serving and the NATS client depend on. */
const alsoInProduction = ["BlueOak-1.0.0", "Unlicense"];
/** Tools that never ship: the accessibility checker, and the demo bundler's minifier of styles. */
const onlyInDevelopment = ["MPL-2.0"];

function readJson<T>(name: string): T {
  const url = new URL(`../../${name}`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as T;
}

/** Every package that the lock file installs, by name. */
function locked(): readonly (readonly [string, LockedPackage])[] {
  const { packages } = readJson<{ packages: Record<string, LockedPackage> }>("package-lock.json");
  const found = Object.entries(packages).filter(([path]) => path !== "");
  assert.ok(found.length > 50, `the lock file lists only ${found.length} packages`);
  return found.map(([path, entry]) => [path.split("node_modules/").at(-1) ?? path, entry]);
}

describe("dependencies", () => {
  it("are named by exact versions", () => {
    const { dependencies, devDependencies } = readJson<Manifest>("package.json");
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+$/, name);
    }
  });

  it("are locked by their content", () => {
    for (const [name, { integrity }] of locked()) assert.match(integrity ?? "", /^sha512-/, name);
  });

  it("run nothing when those of production are installed", () => {
    const production = locked().filter(([, { dev }]) => dev !== true);
    assert.ok(production.length > 10);
    for (const [name, entry] of production) assert.notEqual(entry.hasInstallScript, true, name);
  });

  it("have licences that allow what this project allows", () => {
    for (const [name, { license = "", dev }] of locked()) {
      const others = dev === true ? onlyInDevelopment : alsoInProduction;
      const choices = license.replaceAll(/[()]/g, "").split(" OR ");
      const isAllowed = choices.some((choice) =>
        choice.split(" AND ").every((word) => allowed.includes(word) || others.includes(word)),
      );
      assert.ok(isAllowed, `${name}: ${license}`);
    }
  });
});
