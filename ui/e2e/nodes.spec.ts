/** Nodes: what runs where, and what a person who may not or cannot empty one is told. */
import { type Seeded, seed } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

test("a node shows what runs on it, how busy it is, and why it cannot be drained where it cannot", async ({
  page,
  browser,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  const { items } = await world.call<{ items: { name: string; cpu: number }[] }>("GET", "/api/v1/nodes");
  expect(items).toHaveLength(1); // this machine
  const { name = "", cpu = 0 } = items[0] ?? {};
  await page.goto("/nodes");
  const node = page.getByRole("region", { name, exact: true });
  await expect(node.getByRole("heading", { name })).toBeVisible();
  await expect(node).toContainText(`of ${cpu} core`);
  await expect(node).toContainText(/Memory.* of .*GiB/);
  await expect(node).toContainText(/Disk.*free/);
  await expect(page.locator(".figure", { hasText: "Stages running" }).locator("b")).toHaveText("1");

  const table = page.getByRole("button", { name: "Table", exact: true });
  await table.click();
  await expect(page.getByRole("row", { name: new RegExp(`^${name}`) })).toContainText("watch of bridge");
  await page.getByRole("button", { name: "Cards", exact: true }).click();

  // what runs ends, and the page hears of it
  await world.command(all.runs, { kind: "stop_project", kill: true });
  await expect(page.locator(".figure", { hasText: "Stages running" }).locator("b")).toHaveText("0", {
    timeout: 30_000,
  });

  await node.getByRole("button", { name: `More about ${name}` }).click();
  await page.getByRole("menuitem", { name: "Drain…" }).click();
  const dialog = page.getByRole("dialog", { name: `Drain ${name}?` });
  await expect(dialog).toContainText("Nothing runs here now.");
  await dialog.getByLabel(/^Why/).fill("new fan");
  await dialog.getByRole("button", { name: `Drain ${name}` }).click();
  await expect(dialog).toContainText("cannot drain it. Nothing was changed.");
  await dialog.getByRole("button", { name: "Leave it" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(node).not.toContainText("new fan");

  // who only works here is not offered it
  const other = await world.person(browser, "nora");
  await other.goto("/nodes");
  await expect(other.getByRole("region", { name, exact: true })).toBeVisible();
  await expect(other.getByRole("button", { name: `More about ${name}` })).toHaveCount(0);
  await other.context().close();
  expect(wrong).toEqual([]);
});
