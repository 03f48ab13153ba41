/** What is big: a list of ten thousand projects, a log of two million lines that grows, a file of two gibibytes. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, faults, PYTHON, ROOT, steady, test, World } from "./world.ts";

const GIB = 1024 ** 3;
const LINES = 2_000_000;

const TALKS = `winslow: 1
name: talker
title: Talker
stages:
  - id: talk
    command: [python, -u, -c, "import sys,time; w=sys.stdout.write; [w(''.join(f'frame {n} of the long street, a line like any other{\\" needle\\" if n == 1500000 else \\"\\"}\\\\n' for n in range(k, k + 10000))) for k in range(1, ${LINES}, 10000)]; n=${LINES}\\nwhile n < 2600000: w(''.join(f'live {k} of the long street\\\\n' for k in range(n, n + 300))); sys.stdout.flush(); n += 300; time.sleep(0.1)"]
`;

test("ten thousand projects are filtered, scrolled through, and many of them changed at once", async ({
  browser,
}) => {
  test.setTimeout(300_000);
  const world = new World("serve"); // the rows have no records that an engine could work on
  try {
    await world.start();
    execFileSync(PYTHON, ["-m", "bench.web_rows", "--projects", "10000"], {
      cwd: ROOT,
      env: { ...process.env, HOME: world.home, WINSLOW_HOME: world.home },
    });
    for (let n = 1; n <= 12; n++) await world.project(`survey ${n}`, { tags: ["survey"] });
    const context = await browser.newContext({ baseURL: world.url });
    await world.enter(context);
    const page = steady(await context.newPage());
    const wrong = faults(page);
    await page.goto("/projects");
    const table = page.getByRole("table", { name: "Projects" });
    await expect(table).toHaveAttribute("aria-rowcount", "10013", { timeout: 60_000 });
    expect(await page.locator(".p-row").count()).toBeLessThan(60); // only what is on screen

    // the wheel, to the very end and back, and every row in between can be read
    const body = page.locator(".p-body");
    const seen = new Set<string>();
    for (const part of [0.2, 0.5, 0.8, 1, 0.3, 0]) {
      await body.evaluate((e, at) => {
        e.scrollTop = at * (e.scrollHeight - e.clientHeight);
      }, part);
      const gap = await body.evaluate(async (e) => {
        await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
        const box = e.getBoundingClientRect();
        const rows = [...e.querySelectorAll(".p-row")].map((r) => r.getBoundingClientRect());
        const on = rows.filter((r) => r.bottom > box.top && r.top < box.bottom);
        const [top, bottom] = [Math.min(...on.map((r) => r.top)), Math.max(...on.map((r) => r.bottom))];
        return { bare: Math.max(0, top - box.top, box.bottom - bottom), count: on.length };
      });
      expect(gap.bare).toBeLessThan(53); // no hole is scrolled into
      seen.add((await page.locator(".p-row a").first().innerText()).trim());
    }
    expect(seen.size).toBeGreaterThan(3);

    await page.locator("#filter").fill("tag:survey");
    await page.keyboard.press("Enter");
    await expect(table).toHaveAttribute("aria-rowcount", "13");
    await page.getByLabel("Select all 12").check();
    await page.getByLabel("Select survey 3", { exact: true }).uncheck();
    const bar = page.getByRole("toolbar", { name: "Selected projects" });
    await expect(bar).toContainText("11 selected");
    await bar.getByRole("button", { name: "More" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    await page.getByRole("button", { name: "Delete 11 projects" }).click();
    await expect(table).toHaveAttribute("aria-rowcount", "2", { timeout: 30_000 });
    await expect(page.getByRole("link", { name: "survey 3" })).toBeVisible();
    expect(wrong).toEqual([]);
    await context.close();
  } finally {
    await world.end();
  }
});

async function lastLine(page: Page): Promise<number> {
  const text = await page.locator(".stat b").first().innerText();
  return Number(text.replaceAll(",", ""));
}

test("a log of two million lines is followed, gone into, searched, and led to by an address", async ({
  page,
  world,
}) => {
  test.setTimeout(400_000);
  const wrong = faults(page);
  const id = await world.project("talks and talks", { text: TALKS, start: true });
  await world.waits(id, (p) => p.state === "running");
  await page.goto(`/projects/${id}/logs`);
  await expect.poll(() => lastLine(page).catch(() => 0), { timeout: 200_000 }).toBeGreaterThan(LINES);

  // followed: the last line on screen is the last there is, and it goes on
  const log = page.getByRole("log", { name: "Log" });
  const newest = async () => {
    const texts = await log.locator(".log-line").allInnerTexts();
    return Math.max(...texts.map((t) => Number(/live (\d+)/.exec(t)?.[1] ?? 0)));
  };
  await expect.poll(newest, { timeout: 20_000 }).toBeGreaterThan(LINES);
  const [before, since] = [await newest(), Date.now()];
  await expect.poll(newest, { timeout: 30_000 }).toBeGreaterThan(before + 3_000);
  const rate = (1000 * ((await newest()) - before)) / (Date.now() - since);
  expect(rate).toBeGreaterThan(500); // lines a second, on a machine that does other things as well
  expect(await log.locator(".log-line").count()).toBeLessThan(150);

  // upwards: it stands still, says what has come since, and comes back
  await log.hover();
  await page.mouse.wheel(0, -2_000);
  const pill = page.getByRole("button", { name: /^Follow/ });
  await expect(pill).toContainText("new lines", { timeout: 20_000 });
  const still = await log.locator(".log-line").first().innerText();
  await page.waitForTimeout(1_000); // lines come meanwhile, and nothing may move
  expect(await log.locator(".log-line").first().innerText()).toBe(still);
  await pill.click();
  await expect(pill).toHaveCount(0);

  // found, one in two million
  await page.keyboard.press("/");
  await page.keyboard.type("needle");
  await page.keyboard.press("Enter");
  const hit = page.getByRole("navigation", { name: "Hits" }).getByRole("button");
  await expect(hit).toHaveCount(1, { timeout: 60_000 });
  await hit.click();
  await expect(log.getByText(/frame 1500000 of the long street.* needle/)).toBeVisible({ timeout: 20_000 });
  await expect(page).toHaveURL(/line=1500000/);

  // an address that leads to a line, for somebody else
  await page.goto(`/projects/${id}/logs?line=1234567`);
  const row = log.locator(".log-line", { hasText: "frame 1234567 of" });
  await expect(row).toBeVisible({ timeout: 20_000 });
  await expect(row.locator("a")).toHaveText("1,234,567");
  expect(wrong).toEqual([]);
  await world.command(id, { kind: "stop_project", kill: true });
});

test("two gibibytes go on where a reload cut them, and arrive whole", async ({ page, context, world }) => {
  test.setTimeout(500_000);
  const file = join(world.home, "night.bin");
  const open = openSync(file, "w");
  truncateSync(file, 2 * GIB); // zeros that take no room here, and marks that tell whether all is in its place
  for (let at = 0; at < 32; at++) writeSync(open, `mark ${at};`, at * 64 * 1024 * 1024);
  closeSync(open);
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto("/inputs");
  await page.getByLabel("Files to upload").setInputFiles(file);
  const tray = page.getByRole("region", { name: "Transfers" });
  await expect(tray.getByText(/(\d{3,4} MiB|1\.\d GiB) of 2/)).toBeVisible({ timeout: 120_000 });
  const offsets: number[] = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") offsets.push(Number(request.headers()["upload-offset"]));
  });
  await page.reload();
  await page.getByLabel("Files to upload").setInputFiles(file);
  await expect(tray.getByText("all done")).toBeVisible({ timeout: 240_000 });
  expect(offsets[0]).toBeGreaterThan(64 * 1024 * 1024); // not from the beginning again
  const there = await world.call<{ items: { name: string; bytes: number }[] }>(
    "GET",
    "/api/v1/files/inputs/list?path=&limit=500",
  );
  expect(there.items.find((each) => each.name === "night.bin")?.bytes).toBe(2 * GIB);
  for (const at of [0, 7, 15, 16, 31]) {
    const from = at * 64 * 1024 * 1024;
    const part = await context.request.get(`${world.url}/api/v1/files/inputs/content?path=night.bin`, {
      headers: { Range: `bytes=${from}-${from + 15}` },
    });
    expect(part.status()).toBe(206);
    expect((await part.body()).toString()).toContain(`mark ${at};`);
  }
});
