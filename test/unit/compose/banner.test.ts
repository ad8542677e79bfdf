import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bannerText, type Banner } from "../../../src/compose/banner.ts";

const banner: Banner = {
  version: "1.2.3",
  address: { host: "::1", port: 8080 },
  scheme: "http",
  store: "a store",
  authentication: undefined,
  isForBrowsers: false,
  warnings: [],
};

function commands(changes: Partial<Banner>): readonly string[] {
  const [, tried = ""] = bannerText({ ...banner, ...changes }).split("try:\n");
  return tried.trimEnd().split("\n");
}

describe("the banner", () => {
  it("says what runs where, how callers are known, and what the operator should know", () => {
    const authentication = { ways: "client certificates", credential: "certificate" } as const;
    const text = bannerText({ ...banner, scheme: "https", authentication, warnings: ["a", "b"] });
    assert.deepEqual(text.split("\n").slice(0, 6), [
      "mpc-router 1.2.3 is ready on https://[::1]:8080 (gRPC, gRPC-Web, Connect and JSON on one port)",
      "  store: a store",
      "  authentication: client certificates",
      "  note: a",
      "  note: b",
      "try:",
    ]);
  });

  it("suggests calls without a credential where callers are believed", () => {
    const [curl = "", grpcurl] = commands({});
    assert.doesNotMatch(curl, /authorization|--cert/);
    assert.equal(grpcurl, "  grpcurl -plaintext [::1]:8080 list");
  });

  it("suggests the credential that the router takes", () => {
    const token = { ways: "tokens", credential: "token" } as const;
    const [curl = "", grpcurl] = commands({ authentication: token });
    assert.match(curl, / -H "authorization: Bearer \$TOKEN"/);
    assert.equal(grpcurl, '  grpcurl -plaintext -H "authorization: Bearer $TOKEN" [::1]:8080 list');
    const certificate = { ways: "client certificates", credential: "certificate" } as const;
    const all = commands({ scheme: "https", authentication: certificate, isForBrowsers: true });
    assert.match(all[0] ?? "", /^ {2}curl https:.* --cert "\$CERT" --key "\$KEY" /);
    assert.equal(all[1], '  grpcurl -cert "$CERT" -key "$KEY" [::1]:8080 list');
    assert.equal(all[2], "  a browser at https://[::1]:8080/");
    assert.doesNotMatch(all.join("\n"), /TOKEN/);
  });
});
