/** What one is told: rules, a webhook that is tried, one that does not answer, the browser's own notes, and a project's own. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { addresses, seed } from "./pages.ts";
import { expect, faults, test } from "./world.ts";

let server: Server;
let taken: { id: string; status: number }[] = [];
let status = 200;
test.beforeAll(async () => {
  server = createServer((request, answer) => {
    request.resume();
    request.on("end", () => {
      taken.push({ id: String(request.headers["x-winslow-notification"]), status });
      answer.writeHead(status).end();
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
});
test.afterAll(() => void server.close());

test("a webhook is added, tried, refused, sent again and removed, all in place", async ({ page }) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await page.goto("/settings/notifications");
  await page.getByLabel("A node").click(); // it changes when the server has it
  await expect(page.getByLabel("A node")).not.toBeChecked();
  await page.getByLabel("all that I may see").click();
  await expect(page.getByLabel("all that I may see")).toBeChecked();
  await page.reload();
  await expect(page.getByLabel("A node")).not.toBeChecked();
  await expect(page.getByLabel("all that I may see")).toBeChecked();
  await expect(page.getByText("Your account has no mail address.")).toBeVisible();

  await page.getByRole("button", { name: "Add a channel" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Address").fill("127.0.0.1:80/hook");
  await expect(dialog.getByText("An address has :// in it.")).toBeVisible();
  await expect(dialog.getByRole("button", { name: /Add the/ })).toBeDisabled();
  await dialog.getByLabel("Address").fill(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`);
  await dialog.getByLabel("What you call it").fill("builds");
  await dialog.getByRole("button", { name: "Add the webhook" }).click();
  await expect(page.getByText("What builds gets is signed with this key.")).toBeVisible();
  await expect(page.getByText(/^wh_/)).toBeVisible();

  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("it was taken")).toBeVisible({ timeout: 30_000 });
  expect(taken.length).toBeGreaterThan(0);
  status = 500;
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText(/^Not taken: .*500/)).toBeVisible({ timeout: 30_000 });
  status = 200;

  await page.getByRole("button", { name: "Switch off" }).click();
  await expect(page.getByText("off", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "Remove builds" }).click();
  await page.getByRole("button", { name: "Remove it" }).click();
  await expect(page.getByText("No channels")).toBeVisible();
  expect(wrong).toEqual([]);
});

test("a message that is not taken is shown with why, and can be sent again", async ({ page, world }) => {
  test.setTimeout(240_000);
  status = 500;
  taken = [];
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  await world.call("PUT", "/api/v1/notifications", { own_actions: true });
  await world.call("POST", "/api/v1/notifications/channels", { kind: "webhook", title: "night", address });
  await world.project("asks at once", { start: true });
  await page.goto("/settings/notifications");
  await expect(async () => {
    await page.reload();
    await expect(page.getByRole("heading", { name: "Not delivered" })).toBeVisible({ timeout: 2_000 });
  }).toPass({ timeout: 60_000 });
  status = 200;
  await page.getByRole("button", { name: "Send again" }).first().click();
  const refused = () => taken.filter((each) => each.status === 500).map((each) => each.id);
  await expect
    .poll(() => taken.some((each) => each.status === 200 && refused().includes(each.id)), { timeout: 70_000 })
    .toBe(true);
  await expect(async () => {
    await page.reload();
    await expect(page.getByRole("heading", { name: "Notifications", exact: true })).toBeVisible();
    await expect(page.getByRole("heading", { name: "Not delivered" })).toHaveCount(0, { timeout: 2_000 });
  }).toPass({ timeout: 60_000 });
});

test("while the tab is in the background the browser tells, and a click leads there", async ({
  page,
  world,
}) => {
  test.setTimeout(120_000);
  await page.addInitScript(() => {
    const shown: { title: string; body: string; click: () => void }[] = [];
    class Told {
      static permission = "default";
      static requestPermission() {
        Told.permission = "granted";
        return Promise.resolve("granted");
      }
      onclick: (() => void) | null = null;
      constructor(title: string, { body }: { body: string }) {
        shown.push({ title, body, click: () => this.onclick?.() });
      }
      close() {}
    }
    Object.assign(window, { Notification: Told, shown });
  });
  await page.goto("/settings/notifications");
  await page.getByRole("button", { name: "Show them" }).click();
  await expect(page.getByRole("button", { name: "They are shown" })).toHaveAttribute("aria-pressed", "true");
  await page.evaluate(() => Object.defineProperty(document, "hidden", { value: true }));
  const project = await world.project("asks in the dark", { start: true });
  const told = () =>
    page.evaluate(() => (window as never as { shown: { title: string }[] }).shown.map((each) => each.title));
  await expect.poll(told, { timeout: 40_000 }).toContain("asks in the dark");
  expect((await told()).filter((title) => title === "asks in the dark")).toHaveLength(1);
  await page.evaluate(() =>
    (window as never as { shown: { title: string; click: () => void }[] }).shown
      .find((each) => each.title === "asks in the dark")
      ?.click(),
  );
  await page.waitForURL(`**/projects/${project}`);
});

test("a project is followed and shared in its own menu, and taken back", async ({ page, world }) => {
  const { done } = await seed(world);
  await page.goto(addresses({ done, asks: done, failed: done, runs: done }).project ?? "");
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "What I am told of it…" }).click();
  await page.getByRole("radio", { name: /Leave me alone/ }).click();
  await expect(page.getByRole("radio", { name: /Leave me alone/ })).toBeChecked();
  expect(await world.call("GET", `/api/v1/projects/${done}/notifications`)).toEqual({ events: [] });
  await page.getByRole("button", { name: "Close", exact: true }).last().click();

  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Who takes part…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Add a person or a group").fill("nobody-here");
  await expect(dialog.getByText("There is nobody called nobody-here.")).toBeVisible();
  await dialog.getByRole("button", { name: "Take Everybody here out" }).click();
  await dialog.getByRole("button", { name: "Save who takes part" }).click();
  const members = async () =>
    ((await world.call("GET", `/api/v1/projects/${done}`)).participants as { user: string }[]).map(
      (m) => m.user,
    );
  await expect.poll(members).toEqual([world.user]);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(members).toEqual(expect.arrayContaining(["@everyone"]));
});
