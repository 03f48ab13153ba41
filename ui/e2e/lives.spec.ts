/** What happens to people: others who work at the same time, servers that die, sessions that end, uploads that are cut. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Locator, Page } from "@playwright/test";
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

const TALKS = `winslow: 1
name: talks-on
title: Talks on
stages:
  - id: talk
    command: [sh, -c, "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo line $n of the street; sleep 0.05; done"]
`;

test("a log that is followed goes on where it was when its server comes back, with nothing left out", async ({
  page,
  world,
}) => {
  test.setTimeout(180_000);
  const wrong = faults(page);
  const id = await world.project("talks past its server", { text: TALKS, start: true });
  await world.waits(id, (p) => p.state === "running");
  await page.goto(`/projects/${id}/logs`);
  const log = page.getByRole("log", { name: "Log" });
  const shown = async () =>
    (await log.locator(".log-line").allInnerTexts())
      .map((text) => Number(/line (\d+) of the street/.exec(text)?.[1] ?? 0))
      .filter((n) => n > 0)
      .sort((a, b) => a - b);
  await expect.poll(async () => (await shown()).at(-1) ?? 0).toBeGreaterThan(60);
  await world.kill();
  await expect(page.getByText("Reconnecting.")).toBeVisible({ timeout: 20_000 });
  const last = (await shown()).at(-1) ?? 0;
  await expect(page.locator("html")).toHaveAttribute("data-stale", "", { timeout: 20_000 }); // dimmed: it may be old
  await expect(log).toContainText(`line ${last} of the street`); // and there all the same
  await world.start();
  await expect(page.getByText("Reconnecting.")).toHaveCount(0, { timeout: 40_000 });
  await expect(page.locator("html")).not.toHaveAttribute("data-stale");
  await expect.poll(async () => (await shown()).at(-1) ?? 0, { timeout: 40_000 }).toBeGreaterThan(last + 40);
  const lines = await shown();
  expect(lines).toEqual(Array.from(lines, (_, at) => (lines[0] ?? 0) + at)); // without a gap or one twice
  expect(wrong).toEqual([]);
  await world.command(id, { kind: "stop_project", kill: true });
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
      .getByRole("button", { name: "Create only" })
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
  await page.getByRole("button", { name: "Create only" }).click();
  await expect(page.getByRole("heading", { name: "typed before it ended" })).toBeVisible();
  await context.close();
});

const KEEPER = `winslow: 1
name: keeper
title: Keeper
parameters:
  WORD: {type: string, default: hello}
secrets: {LICENCE: {required: false}}
stages:
  - id: say
    secrets: [LICENCE]
    command: [sh, -c, "echo said"]
`;

test("a new project that was begun is there again after a reload, but for its secrets, until it is made", async ({
  page,
  world,
}) => {
  await world.call("POST", "/api/v1/pipelines", { text: KEEPER, comment: "" });
  const name = page.getByLabel("Name", { exact: true });
  const left = page.getByText("As you left it");
  await page.goto("/projects/new?pipeline=keeper");
  await page.locator("#value-WORD").fill("typed once");
  await page.locator("#secret-LICENCE").fill("hush-7f3a");
  await name.fill("begun before lunch");
  await page.getByLabel("Tags").fill("b14");
  await expect(left).toHaveCount(0);
  await page.reload();
  await expect(left).toBeVisible();
  await expect(page.getByText("Secrets are not kept")).toBeVisible();
  await expect(page.locator("#value-WORD")).toHaveValue("typed once");
  await expect(name).toHaveValue("begun before lunch");
  await expect(page.getByLabel("Tags")).toHaveValue("b14");
  await expect(page.locator("#secret-LICENCE")).toHaveValue("");
  expect(await page.evaluate(() => JSON.stringify([sessionStorage, localStorage]))).not.toContain(
    "hush-7f3a",
  );

  await page.getByRole("button", { name: "Begin anew" }).click();
  await expect(left).toHaveCount(0);
  await expect(page.locator("#value-WORD")).toHaveValue("hello");
  await expect(name).toHaveValue("");
  await page.reload();
  await expect(name).toHaveValue("");
  await expect(left).toHaveCount(0);

  await name.fill("made after lunch");
  await page.getByRole("button", { name: "Create only" }).click();
  await expect(page.getByRole("heading", { name: "made after lunch" })).toBeVisible();
  await page.goto("/projects/new?pipeline=keeper");
  await expect(name).toHaveValue("");
  await expect(left).toHaveCount(0);
});

test("the rail leads to the views of the projects, one's own among them, and tells what the share has left", async ({
  page,
  world,
}) => {
  await world.project("seen in a view", { tags: ["viewed"] });
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.goto("/projects?q=tag%3Aviewed");
  await page.getByRole("button", { name: "Save view" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("The viewed");
  await page.getByRole("dialog").getByRole("button", { name: "Save view" }).click();
  const rail = page.getByRole("navigation", { name: "Main" });
  const own = rail.getByRole("link", { name: "The viewed" });
  await expect(own).toHaveAttribute("aria-current", "page");
  await rail.getByRole("link", { name: "Mine" }).click();
  await expect(page).toHaveURL(/q=author/);
  await expect(own).not.toHaveAttribute("aria-current");
  await page.goto("/settings");
  await own.click();
  await expect(page.getByRole("link", { name: "seen in a view" })).toBeVisible();
  await expect(rail.getByText(/^[\d.,]+( \w+)? of [\d.,]+ [KMGTP]iB$/)).toBeVisible();
  await page.setViewportSize({ width: 1280, height: 900 }); // icons only
  await expect(own).toHaveCount(0);
  await expect(rail.getByText("Share free")).toHaveCount(0);
});

test("several projects are deleted at once, after one question that can be answered with no", async ({
  page,
  world,
}) => {
  for (const name of ["bulk of one", "bulk of two"]) await world.project(name);
  await page.goto("/projects?q=bulk");
  for (const name of ["bulk of one", "bulk of two"]) await page.getByLabel(`Select ${name}`).check();
  const dialog = page.getByRole("dialog", { name: "Delete 2 projects?" });
  const ask = async () => {
    await page.getByRole("toolbar").getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    await expect(dialog.getByRole("textbox")).toHaveCount(0); // the trash gives them back: nothing has to be typed
  };
  await ask();
  await dialog.getByRole("button", { name: "Keep them" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole("link", { name: "bulk of one" })).toBeVisible();
  await ask();
  await dialog.getByRole("button", { name: "Delete 2 projects" }).click();
  await expect(page.getByRole("link", { name: /^bulk of/ })).toHaveCount(0);
});

test("a session that ends under the editor of a pipeline takes nothing that was typed", async ({
  browser,
  world,
}) => {
  const own = await world.session();
  const context = await browser.newContext({ baseURL: world.url });
  await context.addCookies(own.cookies);
  const page = steady(await context.newPage());
  await page.goto("/pipelines/edit?example=first-steps");
  const editor = page.locator(".cm-content");
  await editor.click();
  await page.keyboard.press("Control+Home");
  await page.keyboard.type("# typed before the session ended\n");
  await context.request.delete("/api/v1/session", { headers: { "X-CSRF-Token": own.csrf } });
  await page.keyboard.type("# and after\n"); // what is typed is checked by the server, which no longer knows who asks
  const dialog = page.getByRole("dialog", { name: "Log in again" });
  await expect(dialog).toBeVisible({ timeout: 20_000 });
  await dialog.getByLabel(/Password/).fill(world.password);
  await dialog.getByRole("button", { name: "Log in" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(editor).toContainText("# typed before the session ended");
  await expect(editor).toContainText("# and after");
  await context.close();
});

/** Between a browser and the server: what passes can be cut as a cable is. */
async function cable(port: number) {
  const open = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((go) => server.listen(0, "127.0.0.1", go));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`,
    cut() {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend() {
      whole = true;
    },
    close: () => server.close(),
  };
}

test("a network that is cut is told of, and what happened meanwhile is there when it is back", async ({
  browser,
  world,
}) => {
  test.setTimeout(120_000);
  const wire = await cable(world.port);
  const context = await browser.newContext({ baseURL: wire.url });
  await world.enter(context);
  const page = steady(await context.newPage());
  const wrong = faults(page);
  const id = await world.project("seen over a cable", { start: true });
  await page.goto(`/projects/${id}`);
  await expect(page.locator(".gate")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("live", { exact: true })).toBeVisible();

  wire.cut();
  await expect(page.getByText("Reconnecting.")).toBeVisible({ timeout: 20_000 });
  await expect(page.locator(".gate")).toBeVisible(); // what was shown stays
  const shown = await world.waits(id, (p) => (p.gates as unknown[]).length > 0);
  const [gate] = shown.gates as { id: string }[];
  await world.command(id, { kind: "answer_gate", gate: gate?.id, answer: "go", values: {}, stage: 0 });
  await world.waits(id, (p) => p.state === "succeeded");
  await expect(page.locator(".head").getByText("succeeded")).toHaveCount(0);

  wire.mend();
  await page.getByRole("button", { name: "Try now" }).click();
  await expect(page.getByText("Reconnecting.")).toHaveCount(0, { timeout: 30_000 });
  await expect(page.locator(".head").getByText("succeeded")).toBeVisible({ timeout: 20_000 });

  // a machine that sleeps, or leaves its network
  await context.setOffline(true);
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: "Nodes" }).click();
  await expect(page.getByRole("alert").first()).toBeVisible({ timeout: 40_000 });
  await context.setOffline(false);
  await page
    .getByRole("button", { name: /Try again|Load the page anew/ })
    .first()
    .click();
  await expect(page.getByRole("alert")).toHaveCount(0, { timeout: 30_000 });
  await expect(page.getByRole("heading", { name: /Nodes/ }).first()).toBeAttached();
  expect(wrong.filter((each) => !each.includes("Unable to preload CSS"))).toEqual([]); // that is what was told of
  await context.close();
  wire.close();
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

/** By Tab alone, as somebody without a pointer gets there. */
async function tabTo(page: Page, goal: Locator): Promise<void> {
  for (let presses = 0; presses < 120; presses++) {
    if (await goal.evaluate((e) => e === document.activeElement).catch(() => false)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the Tab key does not lead to ${goal}`);
}

test("a keyboard is enough for the whole life of a project", async ({ page, world }) => {
  test.setTimeout(180_000);
  await page.goto("/projects");
  await expect(page.locator("#filter")).toBeVisible();
  await page.keyboard.press("n");
  await page.waitForURL("**/projects/new**");
  const wanted = page.getByRole("radio", { name: /First steps/ });
  await wanted.waitFor();
  await tabTo(page, page.getByRole("radio").first());
  for (let presses = 0; presses < 20 && !(await wanted.isChecked()); presses++)
    await page.keyboard.press(presses ? "ArrowDown" : "Space");
  await tabTo(page, page.locator("#value-COUNT"));
  await page.keyboard.press("Control+a");
  await page.keyboard.type("40");
  await tabTo(page, page.getByLabel("Name", { exact: true }));
  await page.keyboard.type("all by keys");
  await page.keyboard.press("Enter"); // makes it and starts it
  await expect(page.getByRole("heading", { name: "all by keys" })).toBeVisible();
  const id = page.url().split("/").at(-1) ?? "";

  await expect(page.locator(".gate")).toBeVisible({ timeout: 30_000 });
  await page.keyboard.press("1");
  await expect(page.locator(".head").getByText("succeeded")).toBeVisible({ timeout: 30_000 });

  await page.keyboard.press("l");
  await page.waitForURL(/\/logs/);
  await expect(page.getByRole("log").getByText(/of 40 are at least/)).toBeVisible(); // the page before tells it, too
  await page.keyboard.press("/");
  await page.keyboard.type("at least");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("navigation", { name: "Hits" }).getByRole("button")).not.toHaveCount(0);
  await page.keyboard.press("Escape");

  await page.keyboard.press("g");
  await page.keyboard.press("o");
  await tabTo(page, page.getByRole("button", { name: /^count:/ }));
  await page.keyboard.press("Enter");
  const redo = page
    .getByRole("link", { name: /Redo/ })
    .or(page.getByRole("button", { name: /^Redo/ }))
    .first();
  await redo.waitFor();
  await tabTo(page, redo);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/run\?/);
  await page.getByLabel("Large from").waitFor();
  await tabTo(page, page.getByLabel("Large from"));
  await page.keyboard.press("Control+a");
  await page.keyboard.type("400");
  await page.keyboard.press("Control+Enter");
  const done = await world.waits(id, (p) => {
    const stages = p.stages as { state: string }[];
    return (p.gates as unknown[]).length > 0 || (stages.length === 3 && p.state === "succeeded");
  });
  if ((done.gates as unknown[]).length) {
    await expect(page.locator(".gate")).toBeVisible({ timeout: 20_000 });
    await page.keyboard.press("1");
  }
  await world.waits(id, (p) => (p.stages as unknown[]).length === 3 && p.state === "succeeded");
});
