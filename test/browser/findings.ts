import axe from "axe-core";
import type { Page } from "playwright-core";

/** Findings that people cannot get around, in both colour schemes. The policy does not bind a debugger's own script. */
export async function findings(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate<axe.AxeResults>(
      "axe.run({ resultTypes: ['violations'] })",
    );
    const serious = violations.filter(
      ({ impact }) => impact === "serious" || impact === "critical",
    );
    for (const { id, nodes } of serious) {
      found.push(`${colorScheme}, ${id}: ${nodes.map((node) => node.html).join(" ")}`);
    }
  }
  return found;
}
