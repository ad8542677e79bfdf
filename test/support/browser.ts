import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";

const executablePath = "/usr/bin/chromium";

const flags: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How long a page may take for anything, in milliseconds: other tests run beside it. */
const limitMs = 20_000;

export async function launchBrowser(...moreFlags: readonly string[]): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...flags, ...moreFlags] });
}

export interface DemoPage extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors on the console, exceptions, and what the page's own policy refused; of all tabs. */
  readonly errors: readonly string[];
}

export interface DemoPageOptions {
  readonly reducedMotion?: "reduce" | "no-preference";
  readonly width?: number;
}

const noteViolations = `addEventListener("securitypolicyviolation", (event) => {
  console.error("policy violation: " + event.violatedDirective + " " + event.blockedURI);
});`;

/** The web demo in a browser profile of its own. */
export async function openDemo(
  browser: Browser,
  url: string,
  options: DemoPageOptions = {},
): Promise<DemoPage> {
  const { reducedMotion = "no-preference", width = 1_280 } = options;
  const viewport = { width, height: 800 };
  const context = await browser.newContext({ viewport, reducedMotion });
  context.setDefaultTimeout(limitMs);
  await context.addInitScript(noteViolations);
  const errors: string[] = [];
  context.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  context.on("weberror", (error) => errors.push(String(error.error())));
  const page = await context.newPage();
  await page.goto(url);
  return { page, context, errors, [Symbol.asyncDispose]: () => context.close() };
}

/** The one click. */
export async function makeKeyAndSign(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Make a key and sign" }).click();
}

/** Resolves when the newest signature is there and verified. */
export async function verified(page: Page): Promise<void> {
  await page.locator(".verdict.is-good").waitFor();
}

export async function setPace(page: Page, pace: "Watch" | "Step" | "Full speed"): Promise<void> {
  await page.getByRole("radio", { name: pace }).check();
}

/** A message in a mailbox: "Alice to Bob, Commitments", then its state. */
export async function chipState(page: Page, chip: string, state: string): Promise<void> {
  await page.getByRole("button", { name: new RegExp(`^${chip}, .*: ${state}`) }).waitFor();
}
