/** The life of a project with the street video: sent from the browser, worked through by the pipeline that comes along, looked at,
 *  redone with another value, compared, drawn, fetched, deleted. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, faults, PYTHON, ROOT, test } from "./world.ts";

const LONG = { timeout: 120_000 }; // a stage that reads the video; machines that do other things at the same time are slow

test("a street video becomes counts, and other counts with another value", async ({ page, world }) => {
  test.setTimeout(600_000);
  const wrong = faults(page);
  const clip = join(world.home, "bikes.mp4");
  execFileSync(PYTHON, [join(ROOT, "pipelines/traffic/get_clip.py"), clip]);

  await page.goto("/projects/new");
  await page.getByRole("radio", { name: /Road users in a street video/ }).check();
  await page.getByRole("button", { name: "Take it into the library" }).click();
  await page.getByRole("button", { name: "Choose from the inputs" }).click();
  await page.getByLabel("Upload", { exact: true }).setInputFiles(clip);
  await expect(page.locator("#value-VIDEO")).toHaveValue("bikes.mp4", { timeout: 30_000 });
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("bikes"); // it is called like its video
  await page.getByRole("button", { name: /^Create and start/ }).click();
  await page.waitForURL(/projects\/p\w+$/);
  const id = page.url().split("/").at(-1) ?? "";

  // the pictures that the question is about, and the way on
  const gate = page.locator(".gate");
  await expect(gate).toBeVisible(LONG);
  const picture = gate.locator("img").first();
  await expect(picture).toBeVisible();
  await expect.poll(() => picture.evaluate((e) => (e as HTMLImageElement).naturalWidth)).toBeGreaterThan(100);
  await gate.getByRole("button", { name: "Go on with track" }).click();
  await expect(page.locator(".head").getByText("succeeded")).toBeVisible(LONG);

  // detect again, seeing more
  await page.getByRole("button", { name: /^(detect|Detect what moves):/ }).click();
  await page.getByRole("link", { name: /^Redo detect/ }).click();
  await page.waitForURL(/\/run\?/);
  await page.getByLabel("Smallest blob").fill("60");
  await page.getByRole("button", { name: /^Redo detect with MIN_AREA 60/ }).click();
  await page.waitForURL(/projects\/p\w+$/);
  await expect(gate).toBeVisible(LONG); // asked again, since what is shown is new
  await gate.getByRole("button", { name: "Go on with track" }).click();
  const after = await world.waits(
    id,
    (p) => p.state === "succeeded" && (p.stages as unknown[]).length >= 10,
    LONG.timeout,
  );
  const stages = after.stages as { number: number; id: string; results: Record<string, number> }[];
  const [before, again] = stages.filter((s) => s.id === "detect").sort((a, b) => a.number - b.number);
  expect(again?.results.detections).toBeGreaterThan(before?.results.detections ?? 0);

  await page.goto(`/projects/${id}/compare?stages=${before?.number},${again?.number}`);
  const area = page.getByRole("row", { name: /MIN_AREA/ });
  await expect(area).toContainText("300");
  await expect(area).toContainText("60");
  await expect(page.getByRole("row", { name: /^detections/ })).toContainText(
    (again?.results.detections ?? 0).toLocaleString("en-GB"),
  );

  await page.getByRole("link", { name: "Analysis" }).click();
  const first = page.locator(".uplot canvas").first();
  await expect(first).toBeVisible();
  const drawn = () =>
    first.evaluate((e) => {
      const canvas = e as HTMLCanvasElement;
      const { data } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {
        data: [],
      };
      const colours = new Set<string>();
      for (let at = 0; at < data.length; at += 4)
        if ((data[at + 3] ?? 0) > 200) colours.add(`${data[at]},${data[at + 1]},${data[at + 2]}`);
      return colours.size;
    });
  await expect.poll(drawn).toBeGreaterThan(3); // axes alone are of one colour

  const last = Math.max(...stages.filter((s) => s.id === "analyse").map((s) => s.number));
  const folder = `stages/${String(last).padStart(4, "0")}-analyse/output`;
  await page.goto(`/projects/${id}/files?path=${encodeURIComponent(folder)}`);
  await page.getByLabel("Choose counts.csv").check();
  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: /^Download/ }).click();
  const table = readFileSync(await (await coming).path(), "utf-8").split("\n");
  expect(table[0]).toContain("second");
  expect(table.length).toBeGreaterThan(5);

  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.waitForURL("**/projects");
  await expect(page.getByRole("link", { name: "bikes" })).toHaveCount(0);
  expect(wrong).toEqual([]);
});
