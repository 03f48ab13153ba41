/** From an installation in which there is nothing to the first result, by hand. */
import { expect, faults, steady, test, World } from "./world.ts";

test("an empty installation leads by three steps to a heat map on screen", async ({ browser }) => {
  test.setTimeout(400_000);
  const world = new World();
  try {
    await world.start();
    const context = await browser.newContext({ baseURL: world.url });
    await world.enter(context);
    const page = steady(await context.newPage());
    const wrong = faults(page);
    await page.goto("/");
    await expect(page.getByRole("heading", { name: "See it work, in three steps" })).toBeVisible();
    const step = (number: number) => page.locator(".first-step").nth(number - 1);
    await expect(step(1)).toHaveAttribute("aria-current", "step");
    await expect(page.getByRole("button", { name: "Use the sample clip" })).toBeDisabled();

    await page.getByRole("button", { name: "Take the example" }).click();
    await expect(step(2)).toHaveAttribute("aria-current", "step");
    await expect(step(1)).toContainText("traffic@1");

    await page.getByRole("button", { name: "Use the sample clip" }).click();
    await expect(step(3)).toHaveAttribute("aria-current", "step", { timeout: 100_000 });
    await page.reload(); // what was done is known from what is there
    await expect(step(3)).toHaveAttribute("aria-current", "step");
    await expect(page.locator(".first-video")).toBeVisible();

    await page.getByRole("button", { name: "Start detect" }).click();
    await page.waitForURL("**/projects/p*");
    await expect(page.locator(".gate img").first()).toBeVisible({ timeout: 180_000 });
    await page.getByRole("button", { name: /Go on with track/ }).click();
    const heat = page.getByRole("img", { name: "heatmap.png" });
    await expect(heat).toBeVisible({ timeout: 120_000 });
    await expect
      .poll(() => heat.evaluate((picture: HTMLImageElement) => picture.naturalWidth), { timeout: 20_000 })
      .toBeGreaterThan(200);
    await expect(page.getByRole("link", { name: "Read report.html" })).toBeVisible();
    await expect(page).toHaveTitle(/✓ First look/);

    await page.goto("/projects"); // and is out of the way from then on
    await expect(page.getByText("First look: street").first()).toBeVisible();
    await expect(page.getByRole("heading", { name: "See it work, in three steps" })).toHaveCount(0);
    expect(wrong).toEqual([]);
    await context.close();
  } finally {
    await world.end();
  }
});
