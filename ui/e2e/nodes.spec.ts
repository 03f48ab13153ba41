/** Nodes: what runs where, and how one is emptied where that can be. */
import { withFleet } from "./fleet.ts";
import { type Seeded, seed } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

let all: Seeded;
test.beforeAll(async ({ world }) => {
  all = await seed(world);
});

test("a node shows what runs on it and how busy it is, and drains only where that can be", async ({
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

  // the only machine there is cannot be emptied by moving work elsewhere, so nobody is offered it
  await expect(page.getByRole("button", { name: `More about ${name}` })).toHaveCount(0);

  // who only works here is not offered it
  const other = await world.person(browser, "nora");
  await other.goto("/nodes");
  await expect(other.getByRole("region", { name, exact: true })).toBeVisible();
  await expect(other.getByRole("button", { name: `More about ${name}` })).toHaveCount(0);
  await other.context().close();
  expect(wrong).toEqual([]);
});

test("a node of a cluster is drained with what that means said first, and a refusal is told where it was asked", async ({
  page,
}) => {
  await withFleet(page);
  await page.goto("/nodes");
  await expect(page.getByRole("navigation", { name: "Main" })).toContainText(/GPUs in use 6 of \d+/);
  const asked: { path: string; body: unknown }[] = [];
  let refuses = true;
  await page.route("**/api/v1/nodes/*/{drain,undrain}", async (route) => {
    asked.push({
      path: new URL(route.request().url()).pathname.slice(14),
      body: route.request().postDataJSON(),
    });
    const problem = {
      code: "driver.no_drain",
      status: 409,
      title: "Winslow's token may not drain nodes. Nothing was changed.",
      hint: "nomad acl policy apply winslow-nodes policy-winslow-nodes.hcl",
    };
    if (refuses) await route.fulfill({ status: 409, json: problem, contentType: "application/problem+json" });
    else await route.fulfill({ json: {} });
  });
  await page.getByRole("button", { name: "More about birch" }).click();
  await page.getByRole("menuitem", { name: "Drain…" }).click();
  const dialog = page.getByRole("dialog", { name: "Drain birch?" });
  await expect(dialog).toContainText("2 stages");
  await expect(dialog).toContainText("run to the end");
  await dialog.getByLabel(/^Why/).fill("new fan");
  await dialog.getByRole("button", { name: "Drain birch" }).click();
  await expect(dialog).toContainText("may not drain nodes. Nothing was changed.");
  refuses = false;
  await dialog.getByRole("button", { name: "Drain birch" }).click();
  await expect(dialog).toHaveCount(0);
  refuses = true;
  await page.getByRole("button", { name: "More about cedar" }).click();
  await page.getByRole("menuitem", { name: "End the drain" }).click();
  await expect(page.getByRole("dialog", { name: "The drain of cedar was not ended" })).toContainText(
    "Nothing was changed.",
  );
  expect(asked).toEqual([
    { path: "birch/drain", body: { text: "new fan" } },
    { path: "birch/drain", body: { text: "new fan" } },
    { path: "cedar/undrain", body: null },
  ]);
});
