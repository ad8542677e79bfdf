import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import {
  launchBrowser,
  makeKeyAndSign,
  openDemo,
  setPace,
  verified,
  type DemoPage,
} from "../support/browser.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";

describe("a ceremony in the web demo", () => {
  let router: RouterProcess;
  let browser: Browser;
  before(async () => {
    [router, browser] = await Promise.all([startRouter(), launchBrowser()]);
  });
  after(async () => {
    await browser.close();
    await router[Symbol.asyncDispose]();
  });

  async function setup(): Promise<DemoPage> {
    return openDemo(browser, router.url);
  }

  it("makes a key and a signature of it with one click, and nothing goes to the console", async () => {
    await using demo = await setup();
    await makeKeyAndSign(demo.page);
    await verified(demo.page);
    assert.deepEqual(demo.errors, []);
  });

  it("ends with a plain Ed25519 signature, and a command that shows the session", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Full speed");
    await page.getByLabel("Message to sign").fill("pay nobody");
    await makeKeyAndSign(page);
    await verified(page);
    const [publicKey, signature] = [
      await value(page, "public key"),
      await value(page, "signature"),
    ];
    assert.ok(isSignature({ publicKey, signature, message: "pay nobody" }));
    const { stdout } = await promisify(execFile)("bash", ["-c", await value(page, "command")]);
    const { session } = JSON.parse(stdout) as { session: { status: string; signature: string } };
    assert.equal(session.status, "completed");
    assert.equal(Buffer.from(session.signature, "base64").toString("hex"), signature);
    await page.locator(".router .chip.is-acknowledged").nth(15).waitFor();
    assert.equal(await page.locator(".router .chip").count(), 16);
  });

  it("signs again with the same key, with other signers", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    const first = [await value(page, "public key"), await value(page, "signature")];
    await page.getByText("Signature by Alice and Bob").waitFor();
    await page.getByRole("button", { name: "Sign again" }).click();
    await page.getByText("Signature by Bob and Carol").waitFor();
    await verified(page);
    assert.equal(await value(page, "public key"), first[0]);
    assert.notEqual(await value(page, "signature"), first[1]);
  });

  it("has room for five parties on HTTP/1.1", async () => {
    await using demo = await setup();
    const { page } = demo;
    await page.getByRole("radio", { name: "3 of 5" }).check();
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    const protocol = await page.evaluate<string>(
      "performance.getEntriesByType('navigation')[0].nextHopProtocol",
    );
    assert.equal(protocol, "http/1.1");
    assert.equal(await page.getByRole("article", { name: /, online$/ }).count(), 5);
    assert.deepEqual(demo.errors, []);
  });

  it("lets one message go at a time in step mode", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Step");
    await makeKeyAndSign(page);
    const next = page.getByRole("button", { name: "Next message" });
    await next.and(page.locator(":enabled")).waitFor();
    assert.equal(await page.locator(".router .chip").count(), 0);
    for (const chips of [2, 4, 6, 7]) {
      await next.click();
      await page
        .locator(".router .chip")
        .nth(chips - 1)
        .waitFor();
      assert.equal(await page.locator(".router .chip").count(), chips);
    }
    await setPace(page, "Full speed");
    await verified(page);
  });

  it("is stopped by the user, and begun anew", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Step");
    await makeKeyAndSign(page);
    await page.getByText("Sends its commitment").nth(2).waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("Stopped.").waitFor();
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("is done with the keyboard alone", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Full speed");
    await tabTo(page, "Make a key and sign");
    await page.keyboard.press("Enter");
    await verified(page);
    await tabTo(page, "Bob to Alice, Secret shares");
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Secret shares: Bob to Alice" });
    await dialog.waitFor();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    assert.match(await focused(page), /^Bob to Alice, Secret shares/);
  });

  it("shows what the router sees beside what the recipient reads", async () => {
    await using demo = await setup();
    const { page } = demo;
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    await page.getByRole("button", { name: /^Carol to Bob, Secret shares/ }).click();
    const [routerSide, recipientSide] = await page.locator("dialog .side").all();
    assert.ok(routerSide !== undefined && recipientSide !== undefined);
    assert.match(await routerSide.innerText(), /What the router sees\s+From\s+Carol\s+To\s+Bob/);
    assert.match(await recipientSide.innerText(), /What Bob reads/);
    const share = await recipientSide.locator("code").first().innerText();
    assert.match(share, /^[0-9a-f]{64}$/);
    const payload = (await routerSide.locator(".hex code").innerText()).replaceAll(/\s/g, "");
    assert.ok(payload.length > share.length && !payload.includes(share));
  });

  it("does without motion where motion is not wanted", async () => {
    await using demo = await openDemo(browser, router.url, { reducedMotion: "reduce" });
    const { page } = demo;
    await makeKeyAndSign(page);
    await page.locator(".router .chip").first().waitFor();
    const flights =
      "document.getAnimations().filter((one) => !('transitionProperty' in one)).length";
    assert.equal(await page.evaluate<number>(flights), 0);
    await setPace(page, "Full speed");
    await verified(page);
  });
});

async function value(page: Page, what: string): Promise<string> {
  return page.locator(`[data-value="${what}"]`).innerText();
}

function isSignature(signed: {
  readonly publicKey: string;
  readonly signature: string;
  readonly message: string;
}): boolean {
  const x = Buffer.from(signed.publicKey, "hex").toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const hash = createHash("sha256").update(signed.message).digest();
  return verify(null, hash, key, Buffer.from(signed.signature, "hex"));
}

const mostTabs = 80;

/** Presses Tab until that has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < mostTabs; presses++) {
    if ((await focused(page)).startsWith(name)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`the keyboard does not get to ${name}`);
}

async function focused(page: Page): Promise<string> {
  const name =
    "document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent";
  return (await page.evaluate<string | null>(name)) ?? "";
}
