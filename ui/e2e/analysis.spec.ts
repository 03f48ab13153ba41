/** Figures of what ran: tables of several stages in one chart, a sweep with its best, and both kept with the pipeline for others. */
import { readFileSync } from "node:fs";
import type { Locator, Page } from "@playwright/test";
import { expect, faults, test } from "./world.ts";

const MEASURED = `winslow: 1
name: measured
title: Measured street
parameters:
  MIN_AREA: {type: integer, default: 300, title: Smallest blob}
stages:
  - id: detect
    command: [sh, -c, "(echo second,found,camera; for s in 0 1 2 3; do echo $s,$((MIN_AREA / 100 + s)),north; done) > $WINSLOW_OUTPUT/counts.csv; echo found=$MIN_AREA >> $WINSLOW_RESULTS"]
    results: {found: integer}
    charts: [{file: counts.csv, x: second, y: [found], title: Found by second}]
  - id: track
    needs: [detect]
    command: [sh, -c, "(echo second,tracked; for s in 1 2 3 4; do echo $s,$((s * 10)); done) > $WINSLOW_OUTPUT/tracks.csv"]
`;

/** The rows of a chart as it tells them to who reads no pictures. */
async function told(chart: Locator): Promise<string[][]> {
  await chart.getByRole("button", { name: "As a table" }).click();
  const rows = await chart
    .getByRole("row")
    .evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
  await chart.getByRole("button", { name: "As a chart" }).click();
  return rows;
}

/** How many points of the drawing have the colour that a token names. */
function drawn(chart: Locator, token: string): Promise<number> {
  return chart.locator("canvas").evaluate((element, name) => {
    const canvas = element as HTMLCanvasElement;
    const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const pen = canvas.getContext("2d");
    if (!probe || !pen) throw new Error("nothing to draw on");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    const [r = 0, g = 0, b = 0] = probe.getImageData(0, 0, 1, 1).data;
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) {
      const near = (value: number | undefined, wanted: number) => Math.abs((value ?? 0) - wanted) < 12;
      if ((data[at + 3] ?? 0) > 200 && near(data[at], r) && near(data[at + 1], g) && near(data[at + 2], b))
        count += 1;
    }
    return count;
  }, token);
}

const panel = (page: Page, title: string) =>
  page.locator("section.panel", { has: page.getByRole("heading", { name: title, exact: true }) });

test("a chart over tables of two stages is made, kept with the pipeline, and seen by another person", async ({
  page,
  browser,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await world.call("POST", "/api/v1/pipelines", { text: MEASURED, comment: "a first one" });
  const id = await world.project("street with figures", { library: "measured", start: true });
  await world.waits(id, (p) => p.state === "succeeded");
  await page.goto(`/projects/${id}`);
  await page.getByRole("link", { name: "Analysis" }).click();

  // what the definition asks for is there by itself
  const own = panel(page, "detect").locator("figure");
  await expect(own.locator("canvas")).toBeVisible();
  await expect.poll(() => drawn(own, "--wn-c1")).toBeGreaterThan(100);
  expect(await told(own)).toEqual([
    ["second", "found"],
    ["0", "3"],
    ["1", "4"],
    ["2", "5"],
    ["3", "6"],
  ]);

  await page.getByRole("button", { name: "New chart…" }).click();
  const bench = panel(page, "A new chart");
  const keep = bench.getByRole("button", { name: "Keep with measured" });
  await expect(keep).toBeDisabled(); // nothing is chosen yet
  await bench.getByLabel("Title").fill("Found and tracked");
  const source = (at: number) => bench.getByRole("group", { name: "What is drawn" }).nth(at);
  await source(0).getByLabel("Stage").selectOption("detect");
  await source(0).getByLabel("File").selectOption("counts.csv");
  await source(0).getByLabel("Over").selectOption("second");
  await expect(source(0).getByLabel("camera")).toHaveCount(0); // words cannot be drawn
  await source(0).getByLabel("found").check();
  await bench.getByRole("button", { name: "One more stage" }).click();
  await source(1).getByLabel("Stage").selectOption("track");
  await source(1).getByLabel("File").selectOption("tracks.csv");
  await source(1).getByLabel("Over").selectOption("second");
  await source(1).getByLabel("tracked").check();
  const both = [
    ["second", "found detect 0001", "tracked track 0002"],
    ["0", "3", "–"],
    ["1", "4", "10"],
    ["2", "5", "20"],
    ["3", "6", "30"],
    ["4", "–", "40"],
  ];
  await expect(bench.locator("figure canvas")).toBeVisible();
  await expect(async () => expect(await told(bench.locator("figure"))).toEqual(both)).toPass({
    timeout: 20_000,
  });
  await keep.click();
  await expect(bench).toHaveCount(0);
  const kept = panel(page, "Found and tracked");
  await expect(kept).toContainText(`kept with measured by ${world.user}`);
  await expect(async () => expect(await told(kept.locator("figure"))).toEqual(both)).toPass({
    timeout: 20_000,
  });

  // detect again with another value: both executions in one chart
  await world.command(id, {
    kind: "redo_stage",
    stage: 1,
    overrides: { values: { MIN_AREA: "900" }, environment: {} },
  });
  await world.waits(id, (p) => p.state === "succeeded" && (p.stages as unknown[]).length === 4);
  for (const chip of [/detect 0001/, /detect 0003/]) await kept.getByLabel(chip).check();
  for (const chip of [/track 0002/, /track 0004/]) await kept.getByLabel(chip).uncheck();
  await expect(async () => {
    const rows = await told(kept.locator("figure"));
    expect(rows[0]).toEqual(["second", "found 0003", "found 0001"]);
    expect(rows.slice(1)).toContainEqual(["2", "11", "5"]);
  }).toPass({ timeout: 20_000 });

  // somebody else finds it in every project of that pipeline, and cannot take it from the others
  const other = await world.person(browser, "vera", "viewer");
  await other.goto(`/projects/${id}/charts`);
  const theirs = panel(other, "Found and tracked");
  await expect(theirs).toContainText(`kept with measured by ${world.user}`);
  await expect(theirs.locator("canvas")).toBeVisible();
  expect((await told(theirs.locator("figure")))[0]?.[0]).toBe("second");
  await expect(theirs.getByRole("button", { name: "Delete…" })).toHaveCount(0);
  const next = await world.project("another street", { library: "measured" });
  await other.goto(`/projects/${next}/charts`);
  await expect(panel(other, "Found and tracked")).toContainText(
    "detect and track have not run in this project yet",
  );

  await kept.getByRole("button", { name: "Delete…" }).click();
  await kept.getByRole("button", { name: "Delete it in every project" }).click();
  await expect(kept).toHaveCount(0);
  await other.goto(`/projects/${id}/charts`);
  await expect(panel(other, "detect")).toBeVisible();
  await expect(panel(other, "Found and tracked")).toHaveCount(0);
  expect(wrong).toEqual([]);
  await other.context().close();
});

test("a sweep started from the form is a table and a scatter plot with its best marked", async ({
  page,
  world,
}) => {
  test.setTimeout(180_000);
  const wrong = faults(page);
  await world.call("POST", "/api/v1/pipelines", {
    text: await world.example("parameter-sweep"),
    comment: "as it comes",
  });
  const id = await world.project("five values", { library: "parameter-sweep" });
  await page.goto(`/projects/${id}/run?stage=try`);
  await page
    .getByRole("group", { name: "VALUE: one value or several" })
    .getByRole("button", { name: "Sweep" })
    .click();
  await page.locator("#value-VALUE").fill("1..5");
  await page.getByRole("button", { name: "Enqueue 5 stages" }).click();
  await page.waitForURL(/projects\/p\w+$/);
  await world.waits(
    id,
    (p) => (p.stages as { state: string }[]).filter((s) => s.state === "succeeded").length === 5,
  );
  await page.getByRole("link", { name: "Analysis" }).click();

  const sweep = panel(page, "Sweep of try");
  const rows = sweep.locator(":scope table:not(figure table) tbody tr");
  await expect(rows).toHaveText([/0001 *196/, /0002 *299/, /0003 *best *3100/, /0004 *499/, /0005 *596/]);
  await expect(sweep.locator("tr[aria-selected=true]")).toContainText("0003");
  const plot = sweep.locator("figure");
  await expect.poll(() => drawn(plot, "--wn-c1")).toBeGreaterThan(5 * 20); // five dots
  await expect.poll(() => drawn(plot, "--wn-ok-solid")).toBeGreaterThan(20); // and a ring round one of them
  expect(await told(plot)).toEqual([
    ["VALUE", "score"],
    ["1", "96"],
    ["2", "99"],
    ["3", "100"],
    ["4", "99"],
    ["5", "96"],
  ]);

  await sweep.getByRole("button", { name: "least", exact: true }).click();
  await expect(sweep.locator("tr[aria-selected=true]")).toContainText("0001"); // the first of equal ones
  await sweep.getByRole("button", { name: "most", exact: true }).click();

  const coming = page.waitForEvent("download");
  await sweep.getByRole("button", { name: "CSV" }).first().click();
  const file = await coming;
  expect(file.suggestedFilename()).toBe("sweep-of-try.csv");
  expect(readFileSync(await file.path(), "utf-8")).toBe(
    "stage,VALUE,score\r\n1,1,96\r\n2,2,99\r\n3,3,100\r\n4,4,99\r\n5,5,96\r\n",
  );

  await sweep.getByRole("button", { name: "Keep with parameter-sweep" }).click();
  const kept = panel(page, "score over VALUE");
  await expect(kept.locator("figcaption")).toContainText("best: 0003");
  await page.reload();
  await expect(kept.locator("figcaption")).toContainText("best: 0003");
  await expect.poll(() => drawn(kept.locator("figure"), "--wn-ok-solid")).toBeGreaterThan(20);
  expect(wrong).toEqual([]);
});
