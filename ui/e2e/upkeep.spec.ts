/** What a project may use and keeps, told before it is changed and taken back afterwards. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, faults, test } from "./world.ts";

const FAILS = `winslow: 1
name: fails
stages:
  - id: detect
    command: [sh, -c, "head -c 3000000 /dev/urandom > frames; exit 3"]
    resources: {cpu: 0.1, memory: 256 MiB}
`;

test("what failed stages left is cleaned up and taken back, and limits are undone", async ({
  page,
  world,
}) => {
  const wrong = faults(page);
  const project = await world.project("tunnel", { text: FAILS, start: true });
  await world.waits(project, (p) => (p.failures as unknown[]).length > 0);
  const frames = join(
    world.home,
    "share/projects",
    project,
    "stages/0001-detect/attempts/1/workspace/frames",
  );
  await page.goto(`/projects/${project}`);
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("menuitem", { name: "Limits and cleaning up" }).click();
  const row = page.getByRole("row", { name: /detect 0001/ }).first();
  await expect(row).toContainText("workspace of a stage that failed", { timeout: 20_000 });
  await expect(row).toContainText("2.9 MiB");
  await page.getByRole("button", { name: "Clean up 1 workspace" }).click(); // it can be taken back: nobody is asked
  await expect(page.getByText("Nothing: whatever lies on the disk")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText(/1 directory moved to the trash, where it stays 7 days/)).toBeVisible();
  expect(existsSync(frames)).toBe(false);
  await page.getByRole("button", { name: "Take back 1 directory" }).click();
  await expect(page.getByRole("button", { name: "Clean up 1 workspace" })).toBeVisible({ timeout: 20_000 });
  expect(existsSync(frames)).toBe(true);

  const limits = async () =>
    (await world.call<{ limit: Record<string, number | null> }>("GET", `/api/v1/projects/${project}`)).limit;
  await page.getByLabel("Stages at once").fill("none");
  await expect(page.getByText("A number, or nothing for no limit.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Set the limits" })).toBeDisabled();
  await page.getByLabel("Stages at once").fill("2");
  await page.getByLabel("Memory, in GiB").fill("0.1");
  await expect(page.getByText(/detect needs 256 MiB of memory, so it could never start/)).toBeVisible();
  await page.getByRole("button", { name: "Set the limits" }).click();
  await expect.poll(async () => (await limits()).stages).toBe(2);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(async () => (await limits()).stages).toBe(null);
  await expect(page.getByLabel("Stages at once")).toHaveValue("");
  expect(wrong).toEqual([]);
});
