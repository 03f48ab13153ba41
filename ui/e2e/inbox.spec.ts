/** What waits for a person: seen wherever one is, decided with what helps to decide, answered in place. */
import { type Seeded, seed } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

test("questions and failures are answered in place, and gone for everybody once they are", async ({
  page,
  browser,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  const other = await world.person(browser, "otto");
  await other.goto("/inbox");
  await page.goto("/nodes"); // from anywhere
  const badge = page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /^Waiting/ });
  await expect(badge).toContainText("2");
  await page.keyboard.press("g");
  await page.keyboard.press("w");
  await page.waitForURL("**/inbox**");
  const waits = page.getByRole("list", { name: "What waits" });
  await expect(waits.getByRole("listitem")).toHaveCount(2);
  await expect(page).toHaveTitle(/^\(2\)/);

  // the question, with the table that it is about: drawn, and to be read
  await waits.getByRole("button", { name: /crossing at six/ }).click();
  await expect(page).toHaveURL(new RegExp(`at=${all.asks}`));
  const detail = page.getByRole("region", { name: "crossing at six" });
  await expect(detail.getByRole("img", { name: /^numbers.csv: number/ })).toBeVisible();
  await detail.getByRole("button", { name: "As a table" }).click();
  await expect(detail.getByRole("columnheader", { name: "place" })).toBeVisible();
  await expect(other.getByRole("list", { name: "What waits" })).toContainText("crossing at six");
  await detail.getByRole("button", { name: /Go on with count/ }).click();
  await expect(waits).not.toContainText("crossing at six");
  await expect(badge).toContainText("1");
  await expect(other.getByRole("list", { name: "What waits" })).not.toContainText("crossing at six");
  await world.waits(all.asks, (p) => p.state === "succeeded");

  // the failure, with its own last words and its exit code
  const failure = page.getByRole("region", { name: "tunnel, second camera" });
  await expect(failure).toContainText("no frame at 00:41:07");
  await expect(failure).toContainText(/exit code 3|code 3/);
  await failure
    .getByRole("button", { name: /Skip|Go on without/ })
    .first()
    .click();
  await expect(page.getByText("Nothing waits for you")).toBeVisible({ timeout: 20_000 });
  await expect(other.getByText("Nothing waits for you")).toBeVisible({ timeout: 20_000 });
  const left = await world.waits(all.failed, (p) => p.state === "succeeded");
  expect((left.stages as { id: string; state: string }[]).map((s) => `${s.id} ${s.state}`)).toContain(
    "track succeeded",
  );
  await expect(badge).not.toContainText(/\d/);
  expect(wrong).toEqual([]);
  await other.context().close();
});
