/** What a log is read with: colours of the program's and of one's own, both streams, and tables that are made of what was printed. */
import { readFileSync } from "node:fs";
import type { Page } from "@playwright/test";
import { expect, faults, test } from "./world.ts";

const PRINTS = `winslow: 1
name: printer
title: Printer
stages:
  - id: print
    command:
      - python3
      - -uc
      - |
        import sys
        for n in range(1, 201):
            print(f"frame {n}: {n * 3} vehicles")
            if n % 50 == 0:
                print(f"\\x1b[31mERROR\\x1b[0m lost frame {n + 1}", file=sys.stderr)
  - id: other
    command: [sh, -c, "echo frame 1 is not here"]
`;

let id = "";
test.beforeAll(async ({ world }) => {
  id = await world.project("prints", { text: PRINTS, start: true });
  await world.waits(id, (p) => p.state === "succeeded");
});

const log = (page: Page) => page.getByRole("log", { name: "Log" });
const line = (page: Page, number: number) =>
  log(page).locator(".log-line", { has: page.getByRole("link", { name: String(number), exact: true }) });

test("both streams, the program's colours, the next error and the whole file", async ({ page }) => {
  const wrong = faults(page);
  await page.goto(`/projects/${id}/logs?stage=1`);
  await expect(page.locator(".stat b").first()).toHaveText("204");
  await expect(line(page, 1)).toContainText("frame 1: 3 vehicles");
  await expect(line(page, 1).locator("time")).toHaveText(/\d\d:\d\d:\d\d/);
  await page.keyboard.press("t");
  await expect(line(page, 1).locator("time")).toHaveCount(0);

  await log(page).click();
  await page.keyboard.press("e");
  const lost = log(page).locator(".log-line.pin");
  await expect(lost).toContainText("ERROR lost frame 51");
  const red = lost.getByText("ERROR", { exact: true });
  const colour = (name: string) =>
    page.evaluate((token) => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.color = `var(${token})`;
      const { color } = getComputedStyle(probe);
      probe.remove();
      return color;
    }, name);
  expect(await red.evaluate((e) => getComputedStyle(e).color)).toBe(await colour("--wn-ansi-red"));
  await page.keyboard.press("e");
  await expect(lost).toContainText("lost frame 101");
  await expect(page).toHaveURL(/line=\d+/);
  await page.keyboard.press("e");
  await expect(lost).toContainText("lost frame 151");
  await page.keyboard.press("e");
  await expect(lost).toContainText("lost frame 201");
  await page.keyboard.press("e"); // and no further one
  await expect(page.getByText(/^no error from line \d+ on$/)).toBeVisible();

  // small letters find all, a capital one means itself; what is listed is what is marked
  await page.keyboard.press("/");
  await page.keyboard.type("error");
  await page.keyboard.press("Enter");
  const hits = page.getByRole("navigation", { name: "Hits" }).getByRole("button");
  await expect(hits).toHaveCount(4);
  await page.getByLabel("Find in the log").fill("Error");
  await page.keyboard.press("Enter");
  await expect(hits).toHaveCount(0);
  await page.keyboard.press("Escape");

  const streams = page.getByRole("group", { name: "Stream" });
  await streams.getByRole("button", { name: "stderr" }).click();
  await expect(page.locator(".stat b").first()).toHaveText("4");
  await expect(log(page).locator(".log-line")).toHaveText(
    [51, 101, 151, 201].map((n) => new RegExp(`lost frame ${n}`)),
  );
  await streams.getByRole("button", { name: "stdout" }).click();
  await expect(page.locator(".stat b").first()).toHaveText("200");
  await expect(log(page)).not.toContainText("lost");
  await streams.getByRole("button", { name: "Both" }).click();

  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: "Raw" }).click();
  const raw = readFileSync(await (await coming).path(), "utf-8");
  expect(raw).toContain("\u001b[31mERROR\u001b[0m lost frame 51");
  expect(raw.match(/frame \d+: \d+ vehicles/g)).toHaveLength(200); // a piece of the other stream may come before a line ends
  expect(wrong).toEqual([]);
});

test("what one always wants to see is highlighted in every log, or in those of one pipeline, until it is forgotten", async ({
  page,
  browser,
  world,
}) => {
  const wrong = faults(page);
  const elsewhere = await world.project("prints elsewhere", {
    text: PRINTS.replace("name: printer", "name: another-printer"),
    start: true,
  });
  await page.goto(`/projects/${id}/logs?stage=1`);
  await page.getByRole("button", { name: "Highlights" }).click();
  const box = page.locator(".highlights");
  const add = box.getByRole("button", { name: "Highlight it" });
  await box.getByLabel("Regular expression").fill("frame (");
  await expect(box.getByLabel("Regular expression")).toHaveAttribute("aria-invalid", "true");
  await expect(add).toBeDisabled();
  await box.getByLabel("Regular expression").fill("frame (\\d+)");
  await add.click();
  await box.getByLabel("Regular expression").fill("vehicles");
  await box.getByLabel(/only in logs of printer/).check();
  await add.click();
  await expect(box.getByRole("listitem")).toHaveText([/vehicles.*printer only/, /frame.*all logs/]);
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Highlights 2" })).toBeVisible();

  const bright = (number: number, text: string) =>
    line(page, number)
      .locator(".hl", { hasText: text })
      .evaluateAll((all) => all.map((e) => getComputedStyle(e).backgroundColor));
  const none = "rgba(0, 0, 0, 0)";
  const [group, word] = [(await bright(2, "2"))[0], (await bright(2, "vehicles"))[0]];
  expect(group).toBeDefined();
  expect(word).toBeDefined();
  expect([group, word]).not.toContain(none);
  expect(group).not.toBe(word); // each has its own colour
  await expect(line(page, 2).locator(".hl")).toHaveText(["frame ", "2", "vehicles"]);
  await expect(line(page, 2).locator(".group")).toHaveText(["2"]); // what the expression asks for stands out

  await page.reload(); // kept
  await expect(line(page, 2).locator(".hl")).toHaveText(["frame ", "2", "vehicles"]);
  await world.waits(elsewhere, (p) => p.state === "succeeded");
  await page.goto(`/projects/${elsewhere}/logs?stage=1`);
  await expect(line(page, 2).locator(".hl")).toHaveText(["frame ", "2"]); // the other one is of printer alone

  // switched off, and forgotten
  await page.goto(`/projects/${id}/logs?stage=1`);
  await page.getByRole("button", { name: "Highlights 2" }).click();
  await box.getByRole("listitem").filter({ hasText: "all logs" }).getByRole("checkbox").uncheck();
  await expect(line(page, 2).locator(".hl")).toHaveText(["vehicles"]);
  await box.getByRole("button", { name: "Forget vehicles" }).click();
  await expect(line(page, 2).locator(".hl")).toHaveCount(0);
  await expect(box.getByRole("listitem")).toHaveCount(1);

  const other = await world.person(browser, "wilma");
  await other.goto(`/projects/${id}/logs?stage=1`);
  await expect(line(other, 2)).toBeVisible();
  await expect(line(other, 2).locator(".hl")).toHaveCount(0); // they are one's own
  await other.context().close();
  expect(wrong).toEqual([]);
});

test("an expression makes a table of a log, also of a stage that has ended, and the table is drawn", async ({
  page,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await page.goto(`/projects/${id}/logs?stage=1`);
  await page.getByRole("button", { name: "Make a table…" }).click();
  const parser = page.getByRole("region", { name: "A table of this log" });
  const save = parser.getByRole("button", { name: "Save into print" });
  const expression = parser.getByLabel(/^Expression/);
  await expect(save).toBeDisabled();

  await expression.fill("frame (");
  await expect(parser.getByText(/^This cannot be searched for/)).toBeVisible();
  await expect(save).toBeDisabled();
  await expression.fill("frame \\d+");
  await expect(parser.getByRole("status")).toContainText("Name a group to make a column of it");
  await expect(save).toBeDisabled();
  await expression.fill("lost frame (?P<lost>\\d+)");
  await parser.getByLabel("Stream").selectOption("stdout");
  await expect(parser.getByRole("status")).toContainText(/^0 rows/);
  await parser.getByLabel("Stream").selectOption("both");
  await expect(parser.getByRole("status")).toContainText(/^4 rows/);
  await expression.fill("frame (?P<frame>\\d+): (?P<vehicles>\\d+) vehicles");
  await expect(parser.getByRole("status")).toContainText("200 rows in 204 of 204 lines");
  const rows = parser.getByRole("row");
  await expect(rows.nth(0)).toHaveText(/frame *vehicles/);
  await expect(rows.nth(2).getByRole("cell").last()).toHaveText("6");
  await expect(line(page, 2).locator(".group")).toHaveText(["2", "6"]); // seen in the log while it is written
  await parser.getByLabel("Table").fill("vehicles.csv");
  await save.click();
  await expect(parser.getByText(".log_parser_output/vehicles.csv")).toBeVisible();
  const own = await world.call<{ text: string }>("GET", `/api/v1/projects/${id}/pipeline`);
  expect(own.text).toContain("vehicles.csv");
  expect(own.text).toContain("import sys"); // and nothing else of it was touched

  // the stage ended long before, and has its table all the same
  await page.getByRole("link", { name: "Analysis" }).click();
  await page.getByRole("button", { name: "New chart…" }).click();
  await page.getByLabel("Title").fill("Vehicles by frame");
  const source = page.getByRole("group", { name: "What is drawn" });
  await source.getByLabel("Stage").selectOption("print");
  await source.getByLabel("File").selectOption(".log_parser_output/vehicles.csv");
  await source.getByLabel("Over").selectOption("frame");
  await source.getByLabel("vehicles", { exact: true }).check();
  const chart = page.locator("figure.chart");
  await expect(chart.locator("canvas")).toBeVisible();
  await chart.getByRole("button", { name: "As a table" }).click();
  await expect(chart.getByRole("row")).toHaveCount(201);
  await expect(chart.getByRole("row").last()).toHaveText(/200 *600/);
  const coming = page.waitForEvent("download");
  await chart.getByRole("button", { name: "CSV" }).click();
  const table = readFileSync(await (await coming).path(), "utf-8").split("\r\n");
  expect(table[0]).toBe("frame,vehicles");
  expect(table[200]).toBe("200,600");
  expect(wrong).toEqual([]);
});
