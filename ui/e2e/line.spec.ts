/** What waits in line is changed, put first and taken on; what can never start is asked for with less; what failed is redone at once. */
import { expect, faults, test } from "./world.ts";

const LARGE = `winslow: 1
name: large
stages:
  - id: train
    command: [sh, -c, "echo trained with $WINSLOW_STAGE"]
    resources: {cpu: 512, memory: 64 MiB}
`;

const LINE = `winslow: 1
name: line
defaults: {resources: {cpu: 0.1, memory: 32 MiB}}
stages:
  - id: first
    command: [sh, -c, "echo first"]
  - id: second
    needs: [first]
    command: [sh, -c, "echo second"]
`;

const FAILS = `winslow: 1
name: cameras
defaults: {resources: {cpu: 0.1, memory: 32 MiB}}
stages:
  - id: cut
    command: [sh, -c, "echo cut"]
${[1, 2, 3, 4].map((n) => `  - id: camera_${n}\n    needs: [cut]\n    command: [sh, -c, "exit ${n}"]`).join("\n")}
`;

type Stage = { number: number; id: string; state: string; turn: number };
const stages = (project: Record<string, unknown>) => project.stages as Stage[];

test("a stage that no node can take is asked for with less, where it stands", async ({ page, world }) => {
  const wrong = faults(page);
  const project = await world.project("too large", { start: true, text: LARGE });
  await world.waits(project, (p) => p.state === "paused");
  await page.goto(`/projects/${project}`);
  const card = page.locator(".panel.fail");
  await expect(card).toContainText("train cannot start");
  await expect(card).toContainText("It asks for 512 cores and 64 MiB of memory");
  await card.getByRole("link", { name: "Change train…" }).click();
  await expect(page.getByRole("heading", { name: "Change train 0001" })).toBeVisible();
  await page.getByLabel("CPU", { exact: true }).fill("0.1");
  const command = page.getByLabel("Command");
  await command.fill("sh -c 'echo trained with less");
  await expect(page.getByText("A quote is not closed.")).toBeVisible();
  await command.press("End");
  await command.pressSequentially("'");
  await page.getByRole("button", { name: /^Change train/ }).click();
  await page.waitForURL(`**/projects/${project}`);
  const after = await world.waits(project, (p) => p.state === "succeeded");
  expect(stages(after).map((s) => `${s.number} ${s.id} ${s.state}`)).toEqual(["1 train succeeded"]);
  await page.goto(`/projects/${project}/logs`);
  await expect(page.getByText("trained with less")).toBeVisible();
  expect(wrong).toEqual([]);
});

test("the last in line is put first, and only lined up where the project is to stay paused", async ({
  page,
  world,
}) => {
  const wrong = faults(page);
  const project = await world.project("in line", { text: LINE });
  await world.command(project, { kind: "pause_project", text: "" });
  const run = async (stage: string) => {
    await page.goto(`/projects/${project}/run?stage=${stage}`);
    await page.getByRole("checkbox", { name: /Only line it up/ }).check();
    await page.getByRole("button", { name: new RegExp(`^Run ${stage}`) }).click();
    await page.waitForURL(`**/projects/${project}`);
  };
  await run("first");
  await run("second");
  const before = await world.waits(project, (p) => stages(p).length === 2);
  expect(before.state).toBe("paused");
  await page.getByRole("button", { name: /^second: / }).click();
  await page.getByRole("button", { name: "First in line" }).click();
  await expect(page.getByRole("button", { name: "First in line" })).toBeHidden();
  const order = stages(await world.waits(project, (p) => stages(p).length === 2));
  const turn = (id: string) => order.find((s) => s.id === id)?.turn ?? 0;
  expect(turn("second")).toBeLessThan(turn("first"));
  expect(wrong).toEqual([]);
});

test("several failures are redone with one click", async ({ page, world }) => {
  const wrong = faults(page);
  const project = await world.project("four cameras", { start: true, text: FAILS });
  const failed = (p: Record<string, unknown>) => stages(p).filter((s) => s.state === "failed").length;
  await world.waits(project, (p) => failed(p) === 4);
  await page.goto(`/projects/${project}`);
  await expect(page.getByRole("button", { name: /^1 more failure: / })).toBeVisible();
  await page.getByRole("button", { name: "Redo all 4" }).click();
  await world.waits(project, (p) => failed(p) === 8);
  await page.getByRole("button", { name: "Skip all 4" }).click();
  await world.waits(project, (p) => p.state === "succeeded");
  await expect(page.locator(".panel.fail")).toHaveCount(0);
  expect(wrong).toEqual([]);
});

test("a form that was left is there again, a comment stays, and the project takes another pipeline", async ({
  page,
  world,
}) => {
  const wrong = faults(page);
  const project = await world.project("left and found", { start: true, text: LINE });
  await world.waits(project, (p) => p.state === "succeeded");
  await world.call("POST", "/api/v1/pipelines", { text: LARGE, comment: "" });

  await page.goto(`/projects/${project}/run`);
  await page.getByLabel("Stage", { exact: true }).selectOption("second");
  await expect(page.getByRole("heading", { name: "Run second" })).toBeVisible();
  await page.getByLabel("Why").fill("to see it twice");
  await page.reload();
  await expect(page.getByLabel("Why")).toHaveValue("to see it twice");
  await page.getByRole("button", { name: "Begin anew" }).click();
  await expect(page.getByLabel("Why")).toHaveValue("");

  await page.getByRole("link", { name: "Events" }).click();
  await page.getByLabel("Comment").fill("the camera was moved at noon");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("listitem").filter({ hasText: "the camera was moved at noon" })).toContainText(
    "you",
  );

  await page.getByRole("link", { name: "Pipeline", exact: true }).click();
  await page.getByRole("button", { name: "Take another pipeline…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").first().selectOption("large");
  await expect(dialog).toContainText("is lined up at once");
  await dialog.getByRole("button", { name: "Take large@1" }).click();
  await expect(dialog).toBeHidden();
  const after = await world.waits(project, (p) => (p.pipeline as { name: string }).name === "large");
  expect(stages(after).map((s) => s.id)).toEqual(expect.arrayContaining(["second", "first"]));
  expect(wrong).toEqual([]);
});
