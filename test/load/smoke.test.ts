import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { programs, readOptions } from "./options.ts";
import { slope } from "./statistics.ts";

const mainPath = join(import.meta.dirname, "main.ts");
const seconds = 1;

describe("a program that loads a router", { concurrency: true }, () => {
  for (const program of programs) {
    it(`${program.name} loses nothing and leaves nothing behind`, async () => {
      const { figures, faults } = await program.run("smoke", seconds);
      assert.deepEqual(faults, []);
      for (const { name, value } of figures) assert.ok(Number.isFinite(value), name);
    });
  }
});

describe("the load command", () => {
  it("runs all programs, or those that are named, for as long as is said", () => {
    assert.deepEqual(readOptions([]).programs, programs);
    const { programs: named, seconds: said } = readOptions(["--only", "soak", "--seconds", "9"]);
    assert.deepEqual([named.map(({ name }) => name), said], [["soak"], 9]);
  });

  it("refuses what it does not understand", () => {
    for (const args of [["--only", "nothing"], ["--seconds", "0"], ["--seconds", "1s"], ["soak"]]) {
      assert.throws(() => readOptions(args), Error, args.join(" "));
    }
  });

  it("prints its usage and ends with 2 for an unknown flag", () => {
    const { status, stderr } = spawnSync(process.execPath, [mainPath, "--olny", "soak"]);
    assert.equal(status, 2);
    assert.match(stderr.toString(), /^Usage: npm run test:load/m);
  });
});

describe("the slope of a measurement", () => {
  it("is not moved by a few samples that are far off", () => {
    const line = Array.from({ length: 60 }, (_, x) => ({ x, y: 100 + 3 * x }));
    const disturbed = line.map(({ x, y }) => ({ x, y: x % 10 === 0 ? y - 80 : y }));
    assert.ok(Math.abs(slope(disturbed) - 3) < 0.1);
  });
});
