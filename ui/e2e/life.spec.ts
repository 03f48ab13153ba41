/** The whole life of a project, as a person lives it. */
import { readFileSync } from "node:fs";
import { expect, faults, steady, test } from "./world.ts";

test("@smoke a project from its making to its end, by hand", async ({ browser, world }) => {
  const context = await browser.newContext({ baseURL: world.url, acceptDownloads: true });
  const page = steady(await context.newPage());
  const wrong = faults(page);

  await page.goto(world.link);
  await page.waitForURL("**/projects");
  await expect(page.getByRole("navigation", { name: "Main" })).toBeVisible();

  await page
    .getByRole("button", { name: /New project/ })
    .first()
    .click();
  await page.getByRole("radio", { name: /First steps/ }).check();
  await page.locator("#value-COUNT").fill("50");
  await page.getByLabel("Name", { exact: true }).fill("street of ada");
  await page.getByRole("button", { name: "Create and start make" }).click();
  await page.waitForURL(/projects\/p\w+/);
  await expect(page.getByRole("heading", { name: "street of ada" })).toBeVisible();

  const gate = page.locator(".gate");
  await expect(gate).toBeVisible({ timeout: 30_000 });
  await expect(gate.getByRole("img", { name: /^numbers.csv: number/ })).toBeVisible(); // what helps to decide, drawn
  await gate.getByRole("button", { name: /Go on with count/ }).click();
  await expect(page.locator(".head").getByText("succeeded")).toBeVisible({ timeout: 30_000 });

  await page.getByRole("button", { name: /^count:/ }).click();
  await page
    .getByRole("link", { name: /Redo/ })
    .or(page.getByRole("button", { name: /^Redo/ }))
    .first()
    .click();
  await page.waitForURL(/\/run\?/);
  await page.getByLabel("Large from").fill("400");
  await page.getByRole("button", { name: /Redo count with THRESHOLD 400/ }).click();
  await expect(page.getByRole("heading", { name: "street of ada" })).toBeVisible();
  const second = page.locator(".gate").getByRole("button", { name: /Go on with count/ });
  const done = page.locator(".head").getByText("succeeded");
  await expect(second.or(done)).toBeVisible({ timeout: 30_000 });
  if (await second.isVisible()) await second.click();
  await world.waits(
    page.url().split("/").at(-1) ?? "",
    (p) => p.state === "succeeded" && (p.stages as unknown[]).length === 3,
  );

  await page.getByRole("link", { name: "History" }).click();
  await page.getByLabel("Compare 0002-count").check();
  await page.getByLabel("Compare 0003-count").check();
  await page.getByRole("button", { name: "Compare 2" }).click();
  const threshold = page.getByRole("row", { name: /THRESHOLD/ });
  await expect(threshold).toContainText("700");
  await expect(threshold).toContainText("400");
  await expect(page.getByRole("row", { name: /^large/ })).toBeVisible();

  await page.getByRole("link", { name: "Logs" }).click();
  await expect(page.getByText("of 50 are at least 400")).toBeVisible();

  await page.getByRole("link", { name: "Files" }).click();
  await page.getByRole("button", { name: "stages", exact: true }).click();
  await page.getByRole("button", { name: /^0003-count/ }).click();
  await page.getByRole("button", { name: "output", exact: true }).click();
  await page.getByLabel("answer.txt").check();
  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: /^Download/ }).click();
  const file = await (await coming).path();
  expect(readFileSync(file, "utf-8")).toMatch(/^\d+ of 50 are at least 400\n$/);

  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.waitForURL("**/projects");
  const row = page.getByRole("region", { name: "Projects" }).getByText("street of ada");
  await expect(row).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click(); // nothing is lost by it, so nobody was asked
  await expect(row.first()).toBeVisible();
  expect(wrong).toEqual([]);
  await context.close();
});
