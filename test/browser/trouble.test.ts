import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import {
  chipState,
  launchBrowser,
  makeKeyAndSign,
  openDemo,
  setPace,
  verified,
} from "../support/browser.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";

describe("trouble in the web demo", () => {
  let router: RouterProcess;
  let browser: Browser;
  before(async () => {
    [router, browser] = await Promise.all([startRouter(), launchBrowser()]);
  });
  after(async () => {
    await browser.close();
    await router[Symbol.asyncDispose]();
  });

  it("lets mail wait for a party that is offline, and brings it on its return", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    await setPace(page, "Step");
    await makeKeyAndSign(page);
    await waiting(page, 3);
    const bob = page.getByRole("article", { name: /^Bob/ });
    await bob.getByRole("button", { name: "Take offline" }).click();
    for (let presses = 0; presses < 3; presses++) await next(page);
    await chipState(page, "Alice to Carol, Commitments", "acknowledged");
    await chipState(page, "Alice to Bob, Commitments", "pending");
    await chipState(page, "Carol to Bob, Commitments", "pending");
    await page.getByText("Bob is offline. Mail waits at the router.").waitFor();

    await bob.getByRole("button", { name: "Bring back" }).click();
    await chipState(page, "Alice to Bob, Commitments", "acknowledged");
    await chipState(page, "Bob to Alice, Commitments", "acknowledged");
    await setPace(page, "Full speed");
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("starts with a party offline, and goes on when it comes", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    await setPace(page, "Full speed");
    const carol = page.getByRole("article", { name: /^Carol/ });
    await page.getByRole("article", { name: "Carol, online" }).waitFor();
    await carol.getByRole("button", { name: "Take offline" }).click();
    await makeKeyAndSign(page);
    await page.getByText("Waits for Carol to join.").waitFor();
    await carol.getByRole("button", { name: "Bring back" }).click();
    await verified(page);
  });

  it("delivers again what was not acknowledged, and only once to the protocol", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const bob = page.getByRole("article", { name: /^Bob/ });
    await bob.getByRole("button", { name: "Lose ack" }).click();
    await makeKeyAndSign(page);
    await page
      .getByText(/An acknowledgement of Bob got lost/)
      .first()
      .waitFor();
    await page
      .getByText(/The router delivered (Alice|Carol)'s message to Bob again/)
      .first()
      .waitFor();
    await page
      .getByRole("button", { name: /to Bob, Commitments, .*: acknowledged, delivered [2-9] times/ })
      .first()
      .waitFor();
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("shows a changed payload by its broken seal, and signs nothing with it", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const bob = page.getByRole("article", { name: /^Bob/ });
    await bob.getByRole("button", { name: "Tamper" }).click();
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await page
      .getByText(/Bob noticed that (Alice|Carol)'s message was changed/)
      .first()
      .waitFor();
    await page
      .getByRole("button", { name: /to Bob, Commitments, .*: refused/ })
      .first()
      .click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Refused.").first().waitFor();
    assert.equal(await dialog.locator("mark").count(), 1);
    await dialog.getByText("failed").first().waitFor();
    await dialog.getByRole("button", { name: "Close" }).click();
    assert.equal(await page.locator('[data-value="signature"]').count(), 0);

    await makeKeyAndSign(page);
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("goes on where it stopped when the router was killed and started again", async () => {
    await using own = await startRouter();
    await using demo = await openDemo(browser, own.url);
    const { page } = demo;
    await setPace(page, "Step");
    await makeKeyAndSign(page);
    await waiting(page, 3);
    await next(page);
    await page.locator(".router .chip").nth(1).waitFor();

    await own.kill("SIGKILL");
    const banner = page.getByText("The router is away. Reconnecting…");
    await banner.waitFor();
    await own.restart();
    await banner.waitFor({ state: "detached" });
    await setPace(page, "Full speed");
    await verified(page);
    const unexpected = demo.errors.filter((error) => !error.includes("net::ERR_"));
    assert.deepEqual(unexpected, []);
  });
});

/** Resolves when so many parties want to send. */
async function waiting(page: Page, parties: number): Promise<void> {
  await page
    .getByText("Sends its commitment")
    .nth(parties - 1)
    .waitFor();
}

async function next(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Next message" }).click();
}
