/** Statistics: figures of what really ran, each also as a table and as a file. */
import { readFileSync } from "node:fs";
import type { Locator, Page } from "@playwright/test";
import { seed } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

const panel = (page: Page, title: string): Locator =>
  page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });

test("what ran is counted by weekday and hour, by stage and by cause, as pictures, tables and files", async ({
  page,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await seed(world);
  // counters are written now and then: the page shows them once they are there
  await page.goto("/statistics");
  const started = panel(page, "Starts by hand");
  await expect(async () => {
    await page.reload();
    await expect(panel(page, "How long stages take").getByRole("row", { name: /^make/ })).toBeVisible({
      timeout: 2_000,
    });
    await expect(panel(page, "Why stages fail")).toContainText("own exit code", { timeout: 1_000 });
  }).toPass({ timeout: 60_000 });

  // the map: one cell for each hour of the week, all starts in the hour that it is now
  const map = started.getByRole("table");
  await expect(map.getByRole("button")).toHaveCount(7 * 24);
  const of = (text: string) => Number(/, ([\d,]+) /.exec(text)?.[1]?.replaceAll(",", "") ?? Number.NaN);
  const cells = async () =>
    map.getByRole("button").evaluateAll((all) => all.map((e) => e.getAttribute("aria-label") ?? ""));
  const full = (await cells()).filter((text) => of(text) > 0);
  expect(full.length).toBeGreaterThan(0);
  expect(full.length).toBeLessThan(4); // this hour, or also the one before
  const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  expect(full.at(-1)).toContain(days[new Date().getDay()]);
  const sum = full.reduce((all, text) => all + of(text), 0);
  await expect(started.locator("header")).toContainText(`${sum}, by hour`);
  const dark = map.locator("[data-step='5']");
  await expect(dark).not.toHaveCount(0);
  const grounds = await map
    .getByRole("button")
    .evaluateAll((all) => [...new Set(all.map((e) => getComputedStyle(e).backgroundColor))]);
  expect(grounds.length).toBeGreaterThan(1);

  // by keyboard from cell to cell
  await map.getByRole("button").first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await expect(map.locator("[data-cell='1-1']")).toBeFocused();

  // the same as numbers
  await started.getByRole("button", { name: "Table" }).click();
  await expect(map.getByRole("button")).toHaveCount(0);
  const numbers = await map.getByRole("cell").allInnerTexts();
  expect(numbers).toHaveLength(7 * 24);
  expect(numbers.reduce((all, n) => all + Number(n), 0)).toBe(sum);
  await started.getByRole("button", { name: "Chart" }).click();
  await expect(map.getByRole("button")).toHaveCount(7 * 24);

  // files
  const file = async (title: string) => {
    const coming = page.waitForEvent("download");
    await panel(page, title)
      .getByRole("link", { name: `${title} as CSV` })
      .click();
    const came = await coming;
    expect(came.suggestedFilename()).toMatch(/\.csv$/);
    return readFileSync(await came.path(), "utf-8")
      .trim()
      .split(/\r?\n/);
  };
  const activity = await file("Starts by hand");
  const head = activity[0]?.split(",") ?? [];
  const rows = activity
    .slice(1)
    .map((row) => Object.fromEntries(row.split(",").map((v, at) => [head[at], v])));
  expect(head).toEqual(expect.arrayContaining(["weekday", "hour"]));
  expect(rows.length).toBeGreaterThan(0);
  const lengths = await file("How long stages take");
  expect(lengths.some((row) => row.includes("first-steps") && row.includes("make"))).toBe(true);
  const causes = await file("Why stages fail");
  expect(causes.some((row) => /exit/.test(row))).toBe(true);

  // what a person began is told apart from what followed by itself
  const total = (column: string) => rows.reduce((all, row) => all + Number(row[column] || 0), 0);
  expect(total("by_hand")).toBe(sum);
  expect(head).toEqual(expect.arrayContaining(["automatic", "running_by_hand", "running_automatic"]));

  // of one pipeline, and of a shorter time: both are in the address
  const lengthsOf = panel(page, "How long stages take");
  await page.getByLabel("Of which pipeline").selectOption("late-shift");
  await expect(page).toHaveURL(/pipeline=late-shift/);
  await expect(lengthsOf.getByRole("row", { name: /^detect/ })).toBeVisible();
  await expect(lengthsOf.getByRole("row", { name: /^make/ })).toHaveCount(0);
  await lengthsOf.getByRole("button", { name: "Table" }).click();
  await expect(lengthsOf.getByRole("columnheader", { name: "19 in 20" })).toBeVisible();
  await page.getByRole("button", { name: "7 d" }).click();
  await expect(page).toHaveURL(/days=7/);
  await page.reload();
  await expect(page.getByRole("button", { name: "7 d" })).toHaveAttribute("aria-pressed", "true");
  await expect(page.getByLabel("Of which pipeline")).toHaveValue("late-shift");
  expect(wrong).toEqual([]);
});
