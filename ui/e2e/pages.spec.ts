/** What holds on every page: nothing that keeps somebody out, nothing wider than a phone, nothing that breaks. */
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { addresses, onePerRoute, type Seeded, seed, settled } from "./pages.ts";
import { expect, faults, steady, test } from "./world.ts";

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const COLOURS = ["color-contrast", "link-in-text-block"]; // all that another scheme can change

async function barriers(page: Page, axe: AxeBuilder): Promise<string[]> {
  const { violations } = await axe.analyze();
  return violations.map((v) => {
    const where = v.nodes.slice(0, 3).map((n) => `${n.target}: ${n.any[0]?.message ?? n.all[0]?.message}`);
    return `${new URL(page.url()).pathname}: ${v.id}: ${where.join(" | ")}`;
  });
}

test("@smoke no page of the application is left out here", () => {
  expect(
    onePerRoute(all)
      .filter(([, address]) => !address)
      .map(([route]) => route),
  ).toEqual([]);
});

test("every page can be used by everybody, in both schemes", async ({ page }) => {
  test.setTimeout(240_000);
  const wrong = faults(page);
  const found: string[] = [];
  await page.emulateMedia({ reducedMotion: "reduce", colorScheme: "light" });
  for (const address of [...Object.values(addresses(all)), "/login"]) {
    await page.goto(address);
    await settled(page);
    found.push(...(await barriers(page, new AxeBuilder({ page }).withTags(TAGS))));
    await page.emulateMedia({ colorScheme: "dark" });
    await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", "dark");
    found.push(
      ...(await barriers(page, new AxeBuilder({ page }).withRules(COLOURS))).map((f) => `dark ${f}`),
    );
    await page.emulateMedia({ colorScheme: "light" });
  }
  expect(found).toEqual([]);
  expect(wrong).toEqual([]);
});

test("no page is wider than a phone, or bars anybody's way on one", async ({ browser, world }) => {
  test.setTimeout(240_000);
  const phone = {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    reducedMotion: "reduce" as const,
  };
  const context = await browser.newContext({ baseURL: world.url, ...phone });
  await world.enter(context);
  const page = steady(await context.newPage());
  const found: string[] = [];
  for (const [name, address] of Object.entries({ ...addresses(all), login: "/login" })) {
    await page.goto(address);
    await settled(page);
    const wide = await page.evaluate(tooWide);
    if (wide) found.push(`${name}: ${wide}`);
    found.push(...(await barriers(page, new AxeBuilder({ page }).withTags(TAGS))));
  }
  expect(found).toEqual([]);
  await context.close();
});

/** What pushes the page out of a phone, past what is pushed within itself; empty: nothing does. */
function tooWide(): string {
  const room = 391;
  const boxed = (e: Element): boolean => {
    for (let up = e.parentElement; up && up.tagName !== "MAIN" && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflowX !== "visible") return true;
    return false;
  };
  const main = document.querySelector("main");
  if (document.documentElement.scrollWidth <= room && (main?.scrollWidth ?? 0) <= room) return "";
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > room && !boxed(e))
    .slice(0, 4)
    .map((e) => `${e.tagName}.${e.getAttribute("class")} to ${Math.round(e.getBoundingClientRect().right)}`)
    .concat(`${document.documentElement.scrollWidth} in all`)
    .join("; ");
}
