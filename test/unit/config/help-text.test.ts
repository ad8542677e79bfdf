import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { helpText } from "../../../src/config/help-text.ts";
import { settingsTable } from "../../../src/config/settings-table.ts";

describe("the help", () => {
  it("has every flag, variable, range and default", () => {
    const help = helpText();
    for (const { flag, env, kind, defaultText, description } of Object.values(settingsTable)) {
      const shown = kind.name === "true or false" ? `  ${flag}\n` : `  ${flag} <`;
      for (const part of [shown, env, kind.range, defaultText ?? "", description]) {
        assert.ok(help.includes(part), part);
      }
    }
  });
});
