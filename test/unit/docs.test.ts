import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { MessageRouter } from "../../gen/mpc/router/v1/message_router_pb.js";
import { SessionCoordinator } from "../../gen/mpc/coordinator/v1/coordinator_pb.js";
import { settingsTable } from "../../src/config/settings-table.ts";
import { codes } from "../../src/rpc/errors.ts";

const root = join(import.meta.dirname, "../..");

function text(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Cells of the table between the two comments of that name, without the head. */
function tableIn(path: string, name: string): readonly (readonly string[])[] {
  const [, part = ""] =
    new RegExp(`<!-- ${name} -->([^]*)<!-- /${name} -->`).exec(text(path)) ?? [];
  const lines = part.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) =>
        cell
          .trim()
          .replaceAll("\\|", "|")
          .replace(/^`(.*)`$/, "$1"),
      ),
  );
}

describe("the documentation", () => {
  it("has every setting as the source has it, in order", () => {
    const expected = Object.values(settingsTable).map(
      ({ flag, env, kind, defaultText, description }) => [
        flag,
        env,
        kind.range,
        defaultText ?? "",
        description,
      ],
    );
    assert.deepEqual(tableIn("README.md", "settings"), expected);
  });

  it("has every reason with its code, and says what it means", () => {
    const rows = tableIn("docs/errors.md", "errors");
    const expected = Object.entries(codes).map(([reason, code]) => [reason, wireName(code)]);
    assert.deepEqual(
      rows.map((row) => row.slice(0, 2)),
      expected,
    );
    for (const [reason, , meaning = ""] of rows) assert.ok(meaning.length > 20, reason);
  });

  it("says what every call does", () => {
    const protocol = text("docs/protocol.md");
    for (const service of [MessageRouter, SessionCoordinator]) {
      for (const { name } of service.methods) {
        assert.match(protocol, new RegExp(`\\*\\*${name}\\.?\\*\\*`), name);
      }
    }
  });

  it("names only files and scripts that exist", () => {
    const { scripts } = JSON.parse(text("package.json")) as { scripts: Record<string, string> };
    for (const path of ["README.md", "docs/protocol.md", "docs/errors.md", "docs/party-sdk.md"]) {
      for (const [, script = ""] of text(path).matchAll(/npm run ([\w:]+)/g)) {
        assert.ok(script in scripts, `${path}: npm run ${script}`);
      }
      for (const [, link = ""] of text(path).matchAll(/\]\(([^)#:]+)\)/g)) {
        assert.ok(text(join(path, "..", link)).length > 0, `${path}: ${link}`);
      }
    }
    assert.ok(text("examples/curl/all-rpcs.sh").length > 0);
  });
});

/** As the Connect protocol spells the code. */
function wireName(code: Code): string {
  return (Code[code] ?? "").replaceAll(/(?<!^)([A-Z])/g, "_$1").toLowerCase();
}
