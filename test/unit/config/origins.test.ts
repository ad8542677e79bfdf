import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { originPattern } from "../../../src/config/origins.ts";

function matches(setting: string, origin: string): boolean {
  const pattern = originPattern(setting);
  return typeof pattern === "string" ? pattern === origin : pattern.test(origin);
}

describe("an allowed origin", () => {
  it("is itself and nothing else", () => {
    assert.ok(matches("https://a.example", "https://a.example"));
    for (const other of ["http://a.example", "https://a.example:8443", "https://b.a.example"]) {
      assert.ok(!matches("https://a.example", other), other);
    }
  });

  it("has any port, or none, where its port is a star", () => {
    assert.ok(matches("http://a.example:*", "http://a.example"));
    assert.ok(matches("http://a.example:*", "http://a.example:8080"));
    assert.ok(matches("http://[::1]:*", "http://[::1]:5173"));
    const others = [
      "http://a.example.evil",
      "http://aXexample:1",
      "http://a.example:1.evil",
      "https://a.example",
    ];
    for (const other of others) assert.ok(!matches("http://a.example:*", other), other);
  });
});
