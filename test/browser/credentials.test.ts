import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Locator, Page } from "playwright-core";
import { createIdentity, exportIdentity } from "../../src/party/index.ts";
import { linkOf } from "../../web-demo/src/control/party-link.ts";
import { launchBrowser, makeKeyAndSign, openDemo, setPace, verified } from "../support/browser.ts";
import { startIssuer, type TestIssuer } from "../support/credentials.ts";
import { startRouter, type RouterProcess } from "../support/router.ts";
import { findings } from "./findings.ts";

const mainPath = join(import.meta.dirname, "../../src/main.ts");
const useTokens = { name: "Use these tokens" } as const;

describe("the web demo of a router with authentication", () => {
  let issuer: TestIssuer;
  let router: RouterProcess;
  let browser: Browser;
  before(async () => {
    issuer = await startIssuer();
    const args = [...issuer.flags, "--demo"];
    [router, browser] = await Promise.all([startRouter({ args }), launchBrowser()]);
  });
  after(async () => {
    await browser.close();
    await router[Symbol.asyncDispose]();
    await issuer[Symbol.asyncDispose]();
  });

  /** Runs the commands that the page shows, with the key of this router. */
  async function issued(page: Page, ...more: readonly string[]): Promise<readonly string[]> {
    const commands = await page.locator('[data-value="commands"]').innerText();
    const tokens: string[] = [];
    for (const command of commands.trim().split("\n")) {
      const [node, program, ...args] = command.split(" ");
      assert.deepEqual([node, program], ["node", "src/main.ts"]);
      const known = args.map((arg) =>
        arg === "--key=dev.jwk" ? `--key=${issuer.directory}/secret` : arg,
      );
      const { stdout } = await promisify(execFile)(process.execPath, [mainPath, ...known, ...more]);
      tokens.push(stdout.trim());
    }
    return tokens;
  }

  it("asks for tokens, says how they are made, and runs to a verified signature with them", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const dialog = await asked(page);
    assert.equal(await dialog.getByRole("button", useTokens).isDisabled(), true);
    const tokens = await issued(page);
    assert.equal(tokens.length, 4);
    await fill(dialog, tokens);
    await dialog.getByRole("button", useTokens).click();
    await dialog.waitFor({ state: "detached" });
    await page.getByRole("article", { name: "Carol, online" }).waitFor();
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    assert.deepEqual(demo.errors, []);

    const command = await page.locator('[data-value="command"]').innerText();
    const env = { ...process.env, TOKEN: tokens[0] ?? "" };
    const { stdout } = await promisify(execFile)("bash", ["-c", command], { env });
    assert.match(stdout, /"status": *"completed"/);

    const kept = await page.evaluate<readonly unknown[]>(
      "[document.cookie, localStorage.length, sessionStorage.length, history.state, location.href]",
    );
    assert.deepEqual(kept, ["", 0, 0, null, `${router.url}/`]);
    for (const token of tokens) assert.ok(!router.output().includes(token));
  });

  it("takes the parties that the tokens name, and tells which tokens are still missing", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const dialog = await asked(page);
    const commands = dialog.locator('[data-value="commands"]');
    const own = [await issuer.coordinator(), await issuer.party("xavier-7")];
    await fill(dialog, own);
    assert.match(await commands.innerText(), /^\S+ \S+ token issue --key=\S+ --party=alice-\w+\n/);
    assert.equal(await dialog.getByRole("button", useTokens).isDisabled(), true);
    await fill(dialog, [...own, await issuer.party("yvonne-7")]);
    await commands.waitFor({ state: "detached" });
    await dialog.getByRole("button", useTokens).click();
    await page.getByRole("article", { name: "Xavier, online" }).waitFor();
    await page.getByRole("article", { name: "Yvonne, online" }).waitFor();
    assert.equal(await page.getByRole("radio", { name: /of \d/ }).count(), 1);
    await setPace(page, "Full speed");
    await makeKeyAndSign(page);
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("says which token the router does not take, and which are none, or have expired", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const dialog = await asked(page);
    const good = [await issuer.coordinator(), await issuer.party("bob"), await issuer.party("eve")];
    const forged = `${good[1]?.slice(0, -6)}AAAAAA`;
    await fill(dialog, [good[0] ?? "", forged, good[2] ?? ""]);
    await dialog.getByRole("button", useTokens).click();
    await dialog.getByRole("alert").getByText("bob: UNAUTHENTICATED").waitFor();
    assert.equal(await dialog.getByText(/^eve: UNAUTHENTICATED/).count(), 0);

    const exp = Math.floor(Date.now() / 1_000) - 60;
    await fill(dialog, [await issuer.party("bob", { exp }), "hunter2"]);
    await dialog.getByText("bob: has expired").waitFor();
    await dialog.getByText("line 2: no token").waitFor();
    assert.equal(await dialog.getByRole("button", useTokens).isDisabled(), true);
    assert.equal(await dialog.getByRole("alert").innerText(), "");
    await fill(dialog, good);
    await dialog.getByRole("button", useTokens).click();
    await page.getByRole("article", { name: "Eve, online" }).waitFor();
    assert.deepEqual(demo.errors, []);
  });

  it("asks again when a token has expired, and goes on with the next", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page } = demo;
    const dialog = await asked(page);
    const now = Date.now();
    const exp = Math.floor(now / 1_000) + 3_600;
    const parties = [await issuer.party("alice-9", { exp }), await issuer.party("bob-9", { exp })];
    await fill(dialog, [await issuer.coordinator(), ...parties]);
    await dialog.getByRole("button", useTokens).click();
    await page.getByRole("article", { name: "Bob, online" }).waitFor();
    // The coordinator's is for ten minutes.
    await page.clock.setFixedTime(now + 11 * 60_000);
    await setPace(page, "Step");
    await makeKeyAndSign(page);
    await dialog.waitFor();
    assert.match(
      await dialog.locator('[data-value="commands"]').innerText(),
      /^\S+ \S+ token issue --key=\S+ --coordinator$/,
    );
    await page.keyboard.press("Escape");
    await page.keyboard.press("Escape");
    await fill(dialog, [await issuer.coordinator({ exp })]);
    await dialog.getByRole("button", useTokens).click();
    await dialog.waitFor({ state: "detached" });
    await setPace(page, "Full speed");
    await verified(page);
    assert.deepEqual(demo.errors, []);
  });

  it("hands a party that moves its token along, and takes what is secret out of the address", async () => {
    await using demo = await openDemo(browser, router.url);
    const { page, context } = demo;
    const dialog = await asked(page);
    await fill(dialog, await issued(page));
    await dialog.getByRole("button", useTokens).click();
    await setPace(page, "Full speed");
    const carol = page.getByRole("article", { name: "Carol, online" });
    await carol.getByRole("button", { name: "Move out" }).click();
    const opening = context.waitForEvent("page");
    await page.getByRole("link", { name: "Open Carol in another tab" }).click();
    const tab = await opening;
    await tab.getByRole("heading", { name: "You are Carol" }).waitFor();
    assert.match(tab.url(), /\/\?party=carol-[0-9a-f]{8}$/);
    await page.getByRole("article", { name: "Carol, runs elsewhere" }).waitFor();
    await makeKeyAndSign(page);
    await tab.getByRole("button", { name: "Allow this signature" }).click();
    await verified(page);
    assert.equal(await tab.getByRole("dialog").count(), 0);
    assert.deepEqual(demo.errors, []);
  });

  it("asks a party that came by a link without a token for its own alone", async () => {
    const identity = exportIdentity(createIdentity());
    const link = linkOf({ partyId: "dora-1", identity, peers: new Map() }, `${router.url}/`);
    await using demo = await openDemo(browser, link);
    const { page } = demo;
    const dialog = await asked(page);
    const tokens = await issued(page);
    assert.equal(tokens.length, 1);
    await fill(dialog, tokens);
    await dialog.getByRole("button", useTokens).click();
    await page.getByRole("article", { name: "Dora, online" }).waitFor();
    assert.equal(page.url(), `${router.url}/?party=dora-1`);
    assert.deepEqual(demo.errors, []);
  });

  it("has no serious accessibility findings where it asks, and fits a screen of 360 pixels", async () => {
    await using demo = await openDemo(browser, router.url, { width: 360 });
    const { page } = demo;
    const dialog = await asked(page);
    assert.deepEqual(await findings(page), []);
    await fill(dialog, [await issuer.coordinator(), await issuer.party("bob"), "hunter2"]);
    assert.deepEqual(await findings(page), []);
    const forged = `${(await issuer.party("alice")).slice(0, -6)}AAAAAA`;
    await fill(dialog, [await issuer.coordinator(), await issuer.party("bob"), forged]);
    await dialog.getByRole("button", useTokens).click();
    await dialog.getByRole("alert").getByText("alice: UNAUTHENTICATED").waitFor();
    assert.deepEqual(await findings(page), []);
    const overflow =
      "(() => { const d = document.querySelector('dialog'); return d.scrollWidth - d.clientWidth; })()";
    assert.equal(await page.evaluate<number>(overflow), 0);
    assert.equal(await page.evaluate<number>("document.documentElement.scrollWidth"), 360);
    assert.deepEqual(demo.errors, []);
  });
});

async function asked(page: Page): Promise<Locator> {
  const dialog = page.getByRole("dialog", { name: "This router wants credentials" });
  await dialog.waitFor();
  return dialog;
}

async function fill(dialog: Locator, lines: readonly string[]): Promise<void> {
  await dialog.getByLabel("Tokens, one a line").fill(lines.join("\n"));
}
