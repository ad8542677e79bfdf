import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser } from "playwright-core";
import { launchBrowser, makeKeyAndSign, openDemo, setPace, verified } from "../support/browser.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";

describe("a party of the web demo elsewhere", () => {
  let router: RouterProcess;
  let browser: Browser;
  before(async () => {
    // Otherwise a router that trusts its callers serves names of this machine only.
    router = await startRouter({ args: ["--insecure-allow-unauthenticated"] });
    // Names that are not of this machine, the first as if it had TLS before it.
    browser = await launchBrowser(
      "--host-resolver-rules=MAP *.test 127.0.0.1",
      `--unsafely-treat-insecure-origin-as-secure=http://demo.test:${router.port}`,
    );
  });
  after(async () => {
    await browser.close();
    await router[Symbol.asyncDispose]();
  });

  it("takes part from a second tab, where its user allows the signature", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page, context } = demo;
    await setPace(page, "Full speed");
    await page.getByRole("article", { name: "Carol, online" }).waitFor();
    await page
      .getByRole("article", { name: /^Carol/ })
      .getByRole("button", { name: "Move out" })
      .click();
    const opening = context.waitForEvent("page");
    await page.getByRole("link", { name: "Open Carol in another tab" }).click();
    const tab = await opening;
    await tab.getByRole("heading", { name: "You are Carol" }).waitFor();
    await page.getByRole("article", { name: "Carol, runs elsewhere" }).waitFor();

    await makeKeyAndSign(page);
    await tab.getByRole("button", { name: "Allow this signature" }).click();
    await verified(page);
    await page.getByText("Signature by Alice and Carol").waitFor();
    const shown = tab.locator('[data-value="signature"]');
    assert.equal(
      await shown.innerText(),
      await page.locator('[data-value="signature"]').innerText(),
    );
    assert.deepEqual(demo.errors, []);
  });

  it("gets a QR code where the address is not this machine's own, and none where it is", async () => {
    await using here = await openDemo(browser, router.url);
    const moveOut = { name: "Move out" };
    await here.page.getByRole("button", moveOut).first().click();
    await here.page.getByRole("link", { name: "Open Alice in another tab" }).waitFor();
    assert.equal(await here.page.getByRole("button", { name: "Show QR code" }).count(), 0);

    await using there = await openDemo(browser, `http://demo.test:${router.port}`);
    await there.page.getByRole("button", moveOut).first().click();
    await there.page.getByRole("button", { name: "Show QR code" }).click();
    const code = there.page.getByRole("img", { name: "QR code of Alice’s link" });
    await code.waitFor();
    const modules = await code.evaluate<number, { readonly width: number }>(({ width }) => width);
    assert.ok(modules > 21);
    assert.deepEqual(there.errors, []);
  });

  it("says so when the address is not secure enough for cryptography", async () => {
    await using demo = await openDemo(browser, `http://plain.test:${router.port}`);
    await demo.page.getByRole("heading", { name: "This address is not secure enough" }).waitFor();
  });

  it("says so when a link has lost its keys", async () => {
    await using demo = await openDemo(browser, `${router.url}/?party=carol-00000000`);
    await demo.page.getByRole("heading", { name: "This link is not complete" }).waitFor();
  });
});
