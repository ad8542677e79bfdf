import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { launchBrowser, makeKeyAndSign, openDemo, setPace, verified } from "../support/browser.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { findings } from "./findings.ts";

const sitePath = join(import.meta.dirname, "../../web-demo/dist/site");

describe("the page of the web demo", () => {
  let router: RouterProcess;
  let browser: Browser;
  before(async () => {
    [router, browser] = await Promise.all([startRouter(), launchBrowser()]);
  });
  after(async () => {
    await browser.close();
    await router[Symbol.asyncDispose]();
  });

  it("has no serious accessibility findings, be it light or dark", async () => {
    await using demo = await openDemo(browser, router.url, { reducedMotion: "reduce" });
    const { page } = demo;
    await setPace(page, "Full speed");
    await page.getByRole("article", { name: /^Bob/ }).getByText("Take offline").click();
    await page
      .getByRole("article", { name: /^Alice/ })
      .getByText("Lose ack")
      .click();
    await makeKeyAndSign(page);
    await page.getByText("Waits for Bob to join.").waitFor();
    assert.deepEqual(await findings(page), []);
    await page.getByText("Bring back").click();
    await verified(page);
    assert.deepEqual(await findings(page), []);
    await page.getByRole("button", { name: /^Bob to Alice, Secret shares/ }).click();
    assert.deepEqual(await findings(page), []);
    assert.deepEqual(demo.errors, []);
  });

  it("fits a screen of 360 pixels", async () => {
    await using demo = await openDemo(browser, router.url, { width: 360 });
    const { page } = demo;
    await page.getByRole("radio", { name: "3 of 5" }).check();
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    assert.equal(await page.evaluate<number>("document.documentElement.scrollWidth"), 360);
    await page.getByRole("button", { name: /^Bob to Alice, Secret shares/ }).click();
    const overflow =
      "(() => { const d = document.querySelector('dialog'); return d.scrollWidth - d.clientWidth; })()";
    assert.equal(await page.evaluate<number>(overflow), 0);
  });

  it("measures at most 120 kB in all, packed with gzip", async () => {
    const entries = await readdir(sitePath, { recursive: true, withFileTypes: true });
    const paths = entries
      .filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))
      .map((entry) => relative(sitePath, join(entry.parentPath, entry.name)));
    assert.ok(paths.includes("index.html"));
    const sizes = await Promise.all(
      paths.map(async (path) => {
        const headers = { "accept-encoding": "gzip" };
        const answer = await fetch(`${router.url}/${path}`, { headers });
        await answer.arrayBuffer();
        return Number(answer.headers.get("content-length"));
      }),
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(total > 0 && total <= 120_000, `${total} bytes`);
  });

  it("runs under a policy that allows nothing inline, evaluated or from elsewhere", async () => {
    const answer = await fetch(router.url);
    const policy = answer.headers.get("content-security-policy") ?? "";
    assert.match(policy, /^default-src 'none'; script-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|data:|\*|https?:/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
    assert.equal(answer.headers.get("cache-control"), "no-cache");

    const [, script = ""] = /src="\.\/(assets\/[^"]+\.js)"/.exec(await answer.text()) ?? [];
    const asset = await fetch(`${router.url}/${script}`);
    assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(asset.headers.get("content-security-policy"), policy);
  });
});
