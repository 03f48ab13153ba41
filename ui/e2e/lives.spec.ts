/** What happens to people: others who work at the same time, servers that die, sessions that end, uploads that are cut. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, faults, steady, test } from "./world.ts";

test("two browsers see each other's changes", async ({ page, browser, world }) => {
  const context = await browser.newContext({ baseURL: world.url });
  await world.enter(context);
  const other = steady(await context.newPage());
  await page.goto("/projects");
  await other.goto("/projects");
  const id = await world.project("seen by two");
  await expect(page.getByRole("link", { name: "seen by two" })).toBeVisible();
  await expect(other.getByRole("link", { name: "seen by two" })).toBeVisible();

  await other.getByRole("link", { name: "seen by two" }).click();
  await page.goto(`/projects/${id}`);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: /Name, tags/ }).click();
  await page.getByLabel("Name", { exact: true }).fill("renamed under their eyes");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(other.getByRole("heading", { name: "renamed under their eyes" })).toBeVisible();

  await other.getByRole("button", { name: "Start make" }).click();
  await expect(page.locator(".gate")).toBeVisible({ timeout: 20_000 });
  await page
    .locator(".gate")
    .getByRole("button", { name: /Skip count/ })
    .click();
  await expect(other.locator(".gate")).toHaveCount(0, { timeout: 20_000 });
  await expect(other.locator(".head").getByText("succeeded")).toBeVisible({ timeout: 20_000 });
  await context.close();
});

test("a server that is killed is told of, what was shown stays, and it goes on by itself", async ({
  page,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  const id = await world.project("outlives its server", { start: true });
  await page.goto(`/projects/${id}`);
  await expect(page.locator(".gate")).toBeVisible({ timeout: 20_000 });
  await world.kill();
  await expect(page.getByText("Reconnecting.")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole("heading", { name: "outlives its server" })).toBeVisible();
  await page.getByRole("button", { name: /Go on with count/ }).click(); // nobody is there to hear it
  await expect(
    page
      .locator(".gate")
      .getByText(/server/i)
      .first(),
  ).toBeVisible({ timeout: 20_000 });
  await world.start();
  await expect(page.getByText("Reconnecting.")).toHaveCount(0, { timeout: 40_000 });
  await page.getByRole("button", { name: /Go on with count/ }).click();
  await expect(page.locator(".head").getByText("succeeded")).toBeVisible({ timeout: 30_000 });
  expect(wrong).toEqual([]);
});

test("a session that ends under an open page takes nothing that was typed", async ({ browser, world }) => {
  const own = await world.session();
  const context = await browser.newContext({ baseURL: world.url });
  await context.addCookies(own.cookies);
  const page = steady(await context.newPage());
  await page.goto("/projects/new?example=first-steps");
  await page.getByLabel("Name", { exact: true }).fill("typed before it ended");
  await page.locator("#value-COUNT").fill("77");
  const ended = await context.request.delete("/api/v1/session", { headers: { "X-CSRF-Token": own.csrf } });
  expect(ended.ok()).toBe(true);
  const dialog = page.getByRole("dialog", { name: "Log in again" });
  // either the page heard of it already, or it does now
  if (!(await dialog.isVisible()))
    await page
      .getByRole("button", { name: "Only make it" })
      .click({ timeout: 5_000 })
      .catch(() => undefined);
  await expect(dialog).toBeVisible();
  await dialog.getByLabel(/Password/).fill("not this one");
  await dialog.getByRole("button", { name: "Log in" }).click();
  await expect(dialog.locator(".note")).toBeVisible();
  await dialog.getByLabel(/Password/).fill(world.password);
  await dialog.getByRole("button", { name: "Log in" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("typed before it ended");
  await expect(page.locator("#value-COUNT")).toHaveValue("77");
  await page.getByRole("button", { name: "Only make it" }).click();
  await expect(page.getByRole("heading", { name: "typed before it ended" })).toBeVisible();
  await context.close();
});

test("an upload goes on where a reload cut it", async ({ page, context, world }) => {
  const content = randomBytes(24 * 1024 * 1024);
  const file = join(world.home, "street.bin");
  writeFileSync(file, content);
  const way = await context.newCDPSession(page);
  await page.goto("/inputs");
  // slow enough that the cut comes in the middle
  await way.send("Network.enable");
  await way.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: 4 * 1024 * 1024,
  });
  page.on("dialog", (dialog) => void dialog.accept());
  await page.getByLabel("Files to upload").setInputFiles(file);
  const tray = page.getByRole("region", { name: "Transfers" });
  await expect(tray.getByText(/\d[\d.]* MiB of 24/)).toBeVisible();
  const offsets: number[] = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") offsets.push(Number(request.headers()["upload-offset"]));
  });
  await page.waitForTimeout(1500); // the wire is slow by intent: some of it is on the other side by now
  await page.reload();
  await way.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: -1,
  });
  await page.getByLabel("Files to upload").setInputFiles(file);
  await expect(tray.getByText("all done")).toBeVisible({ timeout: 30_000 });
  expect(offsets.at(-1)).toBeGreaterThan(0);
  const came = await context.request.get(`${world.url}/api/v1/files/inputs/content?path=street.bin`);
  expect(Buffer.compare(await came.body(), content)).toBe(0);
});

test("a keyboard is enough to find a project, open it, and make another", async ({ page, world }) => {
  await world.project("first of the keys");
  await world.project("second of the keys");
  await page.goto("/projects");
  await expect(page.getByRole("link", { name: "second of the keys" })).toBeVisible();
  await page.keyboard.press("/");
  await expect(page.locator("#filter")).toBeFocused();
  await page.keyboard.type("of the keys");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/q=/);
  await expect(page.locator("#filter")).not.toBeFocused();
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  const row = page.locator("[role=row][data-current], [role=row][aria-current]");
  await expect(row).toContainText("second of the keys");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "second of the keys" })).toBeVisible();
  await page.goBack();
  await page.keyboard.press("n");
  await page.waitForURL("**/projects/new**");
  await page.getByRole("radio", { name: /First steps/ }).focus();
  await page.keyboard.press("Space");
  await page.locator("#value-COUNT").focus();
  await page.keyboard.press("Control+a");
  await page.keyboard.type("12");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "More" })).toBeVisible();
  await page.getByRole("button", { name: "More" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: /Name, tags/ })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menuitem", { name: /Name, tags/ })).toHaveCount(0);
});
