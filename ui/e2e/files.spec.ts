/** Files: dropped, folders and all; seen without being fetched; taken along as one archive; renamed and put away. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, faults, PYTHON, ROOT, test } from "./world.ts";

/** As a hand drops them from the desktop: files and folders with what lies in them. */
async function drop(
  page: Page,
  paths: string[],
  on = page.getByRole("table", { name: "Entries" }).or(page.getByText(/Nothing here yet/)),
): Promise<void> {
  const box = await on.boundingBox();
  if (!box) throw new Error("nowhere to drop it");
  const way = await page.context().newCDPSession(page);
  const [x, y] = [box.x + box.width / 3, box.y + box.height / 2];
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await way.send("Input.dispatchDragEvent", { type, x, y, data });
  await way.detach();
}

const entry = (page: Page, name: string) =>
  page.getByRole("row", { name: new RegExp(`Choose ${name.replace(".", "\\.")}`) });

test("files are dropped, looked at, renamed, fetched as an archive and put away", async ({ page, world }) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  await page.goto("/inputs");
  await expect(page.getByText(/Nothing here yet/)).toBeVisible();
  await page.getByRole("button", { name: "New folder" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("survey");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("button", { name: "survey", exact: true }).click();
  await expect(page).toHaveURL(/path=survey/);

  const report =
    "<!doctype html><h1>Counts</h1><script>parent.document.title = 'taken over'; document.body.append('ran')</script>";
  const brought = {
    "counts.csv": 'second,"vehicles, all"\n0,3\n1,"4"\n',
    "notes.txt": "Camera at 12.4 m.\n",
    "report.html": report,
  };
  const here = mkdtempSync(join(tmpdir(), "winslow-e2e-drop-"));
  const write = ([name, text]: [string, string]) => {
    writeFileSync(join(here, name), text);
    return join(here, name);
  };
  await drop(page, Object.entries(brought).map(write));
  await expect(page.getByRole("region", { name: "Transfers" }).getByText("all done")).toBeVisible();
  for (const name of ["counts.csv", "notes.txt", "report.html"])
    await expect(entry(page, name)).toBeVisible();

  // the same name again: asked, and the answer holds
  await drop(page, [write(["notes.txt", "Camera at 13 m.\n"])]);
  const tray = page.getByRole("region", { name: "Transfers" });
  await expect(tray.getByText("There is a notes.txt already.")).toBeVisible();
  await tray.getByRole("button", { name: "Keep both" }).click();
  await expect(tray.getByText("all done")).toBeVisible();
  await expect.poll(async () => (await names(world, "survey")).length).toBe(4);
  const text = async (name: string) =>
    (
      await world.call<{ text: string }>(
        "GET",
        `/api/v1/files/inputs/text?path=survey/${encodeURIComponent(name)}`,
      )
    ).text;
  expect(await text("notes.txt")).toBe("Camera at 12.4 m.\n");

  // previews
  await page.getByRole("button", { name: "counts.csv", exact: true }).click();
  const preview = page.getByRole("complementary", { name: "counts.csv" });
  await expect(preview.getByRole("columnheader")).toHaveText(["second", "vehicles, all"]);
  await expect(preview.getByRole("row").nth(2)).toHaveText(/1 *4/);
  await page.getByRole("button", { name: "notes.txt", exact: true }).click();
  await expect(page.getByRole("complementary", { name: "notes.txt" })).toContainText("Camera at 12.4 m.");
  await page.getByRole("button", { name: "report.html", exact: true }).click();
  const frame = page.frameLocator("iframe[title='report.html']");
  await expect(frame.getByRole("heading", { name: "Counts" })).toBeVisible();
  await expect(frame.getByText("ran")).toHaveCount(0); // what a stage wrote is shown, and not let loose
  expect(await page.title()).not.toContain("taken over");
  await page.keyboard.press("Escape");
  await expect(page.locator(".f-preview")).toHaveCount(0);

  await page.getByLabel("Choose notes.txt").check();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByLabel("New name").fill("counts.csv");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await expect(page.getByRole("dialog")).toContainText("it was not touched"); // what is there already
  await page.getByRole("dialog").getByLabel("New name").fill("camera.txt");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await expect(entry(page, "camera.txt")).toBeVisible();

  const coming = page.waitForEvent("download");
  await page.getByRole("link", { name: "Folder as zip" }).click();
  const archive = await (await coming).path();
  const listed = execFileSync(PYTHON, [
    "-c",
    "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(*sorted(z.namelist()), sep='\\n')",
    archive,
  ]).toString();
  expect(listed).toContain("counts.csv");
  expect(listed).toContain("camera.txt");

  await page.getByLabel("Choose camera.txt").check();
  const remove = page.getByRole("button", { name: "Delete", exact: true });
  await remove.click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await expect(entry(page, "camera.txt")).toHaveCount(0);
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(entry(page, "camera.txt")).toBeVisible();
  await page.getByLabel("Choose camera.txt").check();
  await remove.click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await expect(entry(page, "camera.txt")).toHaveCount(0);
  await page.getByRole("button", { name: "Deleted files" }).click();
  const trash = page.getByRole("dialog", { name: "Deleted files" });
  await expect(trash.getByRole("listitem")).toContainText("survey/camera.txt");
  await trash.getByRole("button", { name: "Take back" }).click();
  await expect(trash).toContainText("Nothing was deleted here");
  await page.keyboard.press("Escape");
  await page.getByLabel("Choose camera.txt").check();
  await remove.click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await expect(entry(page, "camera.txt")).toHaveCount(0);
  expect(await names(world, "survey")).not.toContain("camera.txt");
  expect(wrong.filter((text) => !text.includes("Blocked script execution"))).toEqual([]); // the report's, as meant
  rmSync(here, { recursive: true });
});

async function names(
  world: { call: <T>(method: string, path: string) => Promise<T> },
  path: string,
): Promise<string[]> {
  const found = await world.call<{ items: { name: string }[] }>(
    "GET",
    `/api/v1/files/inputs/list?path=${path}&limit=100`,
  );
  return found.items.map((each) => each.name);
}

test("a whole folder is dropped with what lies in it, and a video is wound to a place", async ({
  page,
  context,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  const here = mkdtempSync(join(tmpdir(), "winslow-e2e-drop-"));
  const folder = join(here, "campaign");
  mkdirSync(join(folder, "north"), { recursive: true });
  writeFileSync(join(folder, "readme.txt"), "Two cameras.\n");
  writeFileSync(join(folder, "north", "heights.csv"), "camera,height\nn1,12.4\n");
  const clip = join(folder, "north", "street.mp4");
  execFileSync(PYTHON, [join(ROOT, "pipelines/traffic/get_clip.py"), clip]);
  await page.goto("/inputs");
  await expect(page.getByRole("button", { name: "Upload", exact: true })).toBeVisible();
  await drop(page, [folder]);
  await expect(page.getByRole("region", { name: "Transfers" }).getByText("all done")).toBeVisible({
    timeout: 30_000,
  });
  await page.getByRole("button", { name: "campaign", exact: true }).click();
  await expect(entry(page, "readme.txt")).toBeVisible();
  await page.getByRole("button", { name: "north", exact: true }).click();
  await expect(entry(page, "heights.csv")).toBeVisible();
  const path = "campaign/north/street.mp4";
  const came = await context.request.get(`${world.url}/api/v1/files/inputs/content?path=${path}`);
  expect(Buffer.compare(await came.body(), readFileSync(clip))).toBe(0);

  const part = page.waitForResponse((r) => r.url().includes("street.mp4") && r.status() === 206);
  await page.getByRole("button", { name: "street.mp4", exact: true }).click();
  const video = page.locator(".f-preview video");
  await expect.poll(() => video.evaluate((e) => (e as HTMLVideoElement).duration)).toBeGreaterThan(3);
  await part;
  await video.evaluate((e) => {
    (e as HTMLVideoElement).preload = "auto";
    (e as HTMLVideoElement).currentTime = (e as HTMLVideoElement).duration * 0.8;
  });
  await expect.poll(() => video.evaluate((e) => (e as HTMLVideoElement).seeking)).toBe(false);
  const shown = await video.evaluate((e) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [40, 30];
    const pen = canvas.getContext("2d");
    pen?.drawImage(e as HTMLVideoElement, 0, 0, 40, 30);
    return new Set(pen?.getImageData(0, 0, 40, 30).data).size;
  });
  expect(shown).toBeGreaterThan(20); // a street, not a black box
  expect(await video.evaluate((e) => (e as HTMLVideoElement).currentTime)).toBeGreaterThan(2);
  expect(wrong).toEqual([]);
  rmSync(here, { recursive: true });
});

test("folders stand beside the list as a tree: opened, walked with keys, filled, and kept in step", async ({
  page,
  world,
}) => {
  const wrong = faults(page);
  const make = (path: string) => world.call("POST", "/api/v1/files/inputs/folders", { path });
  for (const path of ["valley", "valley/east", "valley/east/dawn", "valley/west", "wharf"]) await make(path);
  await page.goto("/inputs?path=valley/east");
  const tree = page.getByRole("tree", { name: "Folders" });
  const folder = (name: string) => tree.getByRole("treeitem", { name, exact: true });
  await expect(folder("valley")).toHaveAttribute("aria-expanded", "true"); // what is shown can be seen
  await expect(folder("east")).toHaveAttribute("aria-selected", "true");
  await expect(folder("east")).toHaveAttribute("aria-level", "3");
  await expect(folder("dawn")).toHaveCount(0);

  // by keys alone
  await tree.focus();
  const marked = tree.locator("[data-active]");
  await page.keyboard.press("ArrowRight");
  await expect(folder("dawn")).toBeVisible();
  await page.keyboard.press("ArrowRight");
  await expect(marked).toHaveText("dawn");
  const id = await marked.getAttribute("id");
  await expect(tree).toHaveAttribute("aria-activedescendant", id ?? "");
  await page.keyboard.press("ArrowRight"); // asks, and finds nothing in it
  await expect(folder("dawn")).not.toHaveAttribute("aria-expanded");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/path=valley(%2F|\/)east(%2F|\/)dawn/);
  await expect(tree).toBeFocused();
  for (const [key, name] of [
    ["ArrowLeft", "east"],
    ["ArrowDown", "dawn"],
    ["Home", "inputs"],
    ["End", "wharf"],
  ] as const) {
    await page.keyboard.press(key);
    await expect(marked).toHaveText(name);
  }

  // open folders are as they were after a visit elsewhere
  await page.getByRole("link", { name: "Nodes" }).first().click();
  await expect(page).toHaveURL(/nodes/);
  await page.getByRole("link", { name: "Inputs" }).first().click();
  await expect(folder("dawn")).toBeVisible();

  // what is dropped on a folder goes there, and not where the list is
  const here = mkdtempSync(join(tmpdir(), "winslow-e2e-drop-"));
  mkdirSync(join(here, "rig"));
  writeFileSync(join(here, "rig", "lens.txt"), "35 mm\n");
  await drop(page, [join(here, "rig")], folder("wharf"));
  await expect.poll(() => names(world, "wharf")).toEqual(["rig"]);
  expect(await names(world, "")).not.toContain("rig");
  await folder("wharf").click();
  await expect(entry(page, "rig")).toBeVisible();
  await page.keyboard.press("ArrowRight");
  await expect(folder("rig")).toBeVisible();

  // what is renamed and deleted in the list is so in the tree
  await page.getByLabel("Choose rig").check();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByLabel("New name").fill("rack");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await expect(folder("rack")).toBeVisible();
  await expect(folder("rig")).toHaveCount(0);

  // where there is no room for it, the path leads everywhere
  await page.setViewportSize({ width: 860, height: 800 });
  await expect(tree).toHaveCount(0);
  await expect(page.getByRole("navigation", { name: "Folder" })).toContainText("wharf");
  expect(wrong).toEqual([]);
  rmSync(here, { recursive: true });
});

test("thousands of folders are a few rows of the page, and the last is one key away", async ({
  page,
  world,
}) => {
  const many = join(world.home, "share", "inputs", "many");
  for (let at = 0; at < 2_500; at += 1)
    mkdirSync(join(many, `camera-${String(at).padStart(4, "0")}`), { recursive: true });
  await page.goto("/inputs?path=many");
  const tree = page.getByRole("tree", { name: "Folders" });
  await tree.focus();
  await page.keyboard.press("ArrowRight");
  await expect(tree.getByText("camera-0000")).toBeVisible();
  await page.keyboard.press("ArrowRight");
  await expect(tree.locator("[data-active]")).toHaveAttribute("aria-setsize", "2500");
  await page.keyboard.press("End");
  for (let up = 0; up < 10; up += 1) {
    if ((await tree.locator("[data-active]").textContent())?.startsWith("camera-")) break;
    await page.keyboard.press("ArrowUp");
  }
  await expect(tree.locator("[data-active]")).toHaveText("camera-2499");
  await expect(tree.locator("[data-active]")).toBeInViewport();
  expect(await tree.getByRole("treeitem").count()).toBeLessThan(100);
});

test("a whole folder is chosen with a button, and comes with the places of its files", async ({
  page,
  world,
}) => {
  const here = mkdtempSync(join(tmpdir(), "winslow-e2e-drop-"));
  mkdirSync(join(here, "harbour", "south"), { recursive: true });
  writeFileSync(join(here, "harbour", "plan.txt"), "Three cameras.\n");
  writeFileSync(join(here, "harbour", "south", "plan.txt"), "One of them.\n");
  await page.goto("/inputs");
  const choosing = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Upload folder" }).click();
  await (await choosing).setFiles(join(here, "harbour"));
  await expect.poll(() => names(world, "harbour").catch(() => [])).toEqual(["south", "plan.txt"]);
  await expect.poll(() => names(world, "harbour/south")).toEqual(["plan.txt"]);
  await expect(entry(page, "harbour")).toBeVisible();
  rmSync(here, { recursive: true });
});

test("the head of a column pressed twice reverses the list, and the address keeps it", async ({
  page,
  world,
}) => {
  const sizes = join(world.home, "share", "inputs", "sizes");
  mkdirSync(sizes, { recursive: true });
  for (const [name, size] of [
    ["a.txt", 20],
    ["b.txt", 300],
    ["c.txt", 1],
  ] as const)
    writeFileSync(join(sizes, name), "x".repeat(size));
  await page.goto("/inputs?path=sizes");
  const shown = () => page.locator(".f-body .f-name").allTextContents();
  const column = (name: string) => page.getByRole("columnheader", { name });
  await expect(column("Name")).toHaveAttribute("aria-sort", "ascending");
  await expect.poll(shown).toEqual(["a.txt", "b.txt", "c.txt"]);
  await page.getByRole("button", { name: "Size", exact: true }).click();
  await expect.poll(shown).toEqual(["c.txt", "a.txt", "b.txt"]);
  await page.keyboard.press("Enter"); // the head has kept the focus
  await expect.poll(shown).toEqual(["b.txt", "a.txt", "c.txt"]);
  await expect(column("Size")).toHaveAttribute("aria-sort", "descending");
  await expect(column("Name")).not.toHaveAttribute("aria-sort");
  await expect(page).toHaveURL(/sort=-size/);
  await page.reload();
  await expect.poll(shown).toEqual(["b.txt", "a.txt", "c.txt"]);
  await page.getByRole("button", { name: "a.txt", exact: true }).click(); // and it stays while one is looked at
  await expect(page).toHaveURL(/sort=-size/);
  await page.goBack();
  await page.goBack();
  await expect.poll(shown).toEqual(["c.txt", "a.txt", "b.txt"]);
  await page.goto("/inputs?path=sizes&sort=colour");
  await expect.poll(shown).toEqual(["a.txt", "b.txt", "c.txt"]);
});

const WRITES = `winslow: 1
name: writes
stages:
  - id: watch
    command: [sh, -c, "cd $WINSLOW_OUTPUT; echo one > first.txt; while [ ! -e ../workspace/go ]; do sleep 0.2; done; echo two >> first.txt; echo new > second.txt; while [ ! -e ../workspace/end ]; do sleep 0.2; done"]
    resources: {cpu: 0.1, memory: 32 MiB}
`;

test("what somebody else brings and what a stage writes is in the list by itself, and what one is at stays", async ({
  page,
  browser,
  world,
}) => {
  test.setTimeout(120_000);
  const wrong = faults(page);
  const here = mkdtempSync(join(tmpdir(), "winslow-e2e-drop-"));
  const write = (name: string, text: string) => {
    writeFileSync(join(here, name), text);
    return join(here, name);
  };
  await world.call("POST", "/api/v1/files/inputs/folders", { path: "together" });
  await page.goto("/inputs?path=together");
  await page.getByLabel("Files to upload").setInputFiles(write("mine.txt", "mine\n"));
  await expect(entry(page, "mine.txt")).toBeVisible();
  const other = await world.person(browser, "bea");
  await other.goto("/inputs?path=together");
  await expect(entry(other, "mine.txt")).toBeVisible();

  // another person's files come and go beside a choice and the keyboard's place
  await page.getByRole("tree", { name: "Folders" }).focus();
  await page.keyboard.press("ArrowRight"); // open, with nothing in it
  const choice = page.getByLabel("Choose mine.txt");
  await choice.check();
  await choice.focus();
  await other
    .getByLabel("Files to upload")
    .setInputFiles([write("a-first.txt", "a\n"), write("zoo.txt", "z\n")]);
  await expect(entry(page, "a-first.txt")).toBeVisible();
  await expect(entry(page, "zoo.txt")).toBeVisible();
  await expect(choice).toBeChecked();
  await expect(choice).toBeFocused();
  const first = page.locator(".f-body .f-name").first();
  await expect(first).toHaveText("mine.txt"); // rows keep their place below the pointer, also while it is pressed
  await choice.uncheck();
  await choice.check();
  await expect(first).toHaveText("mine.txt");
  await page.mouse.move(0, 0);
  await expect(first).toHaveText("a-first.txt");
  await expect(choice).toBeFocused();
  await other.getByRole("button", { name: "New folder" }).click();
  await other.getByRole("dialog").getByLabel("Name").fill("inner");
  await other.getByRole("button", { name: "Make it" }).click();
  await expect(page.getByRole("treeitem", { name: "inner" })).toBeVisible(); // the tree, too
  await other.getByLabel("Choose zoo.txt").check();
  await other.getByRole("button", { name: "Delete", exact: true }).click();
  await other.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  await expect(entry(page, "zoo.txt")).toHaveCount(0);
  await expect(choice).toBeFocused();
  await world.call("POST", "/api/v1/files/inputs/rename", { from: "together", to: "apart" });
  await expect(page.getByText("This folder is not there any more")).toBeVisible();
  await page.getByRole("button", { name: "Go to inputs" }).click();
  await expect(entry(page, "apart")).toBeVisible();
  await other.context().close();

  // a stage that runs
  const project = await world.project("writes", { text: WRITES, start: true });
  await world.waits(project, (p) => p.state === "running");
  const space = `project:${project}`;
  const let_ = (name: string) =>
    world.call("POST", `/api/v1/files/${space}/folders`, { path: `stages/0001-watch/workspace/${name}` });
  await page.goto(`/projects/${project}/files?path=stages%2F0001-watch%2Foutput&file=first.txt`);
  const preview = page.getByRole("complementary", { name: "first.txt" });
  await expect(preview).toContainText("one");
  await let_("go");
  await expect(entry(page, "second.txt")).toBeVisible();
  await expect(preview).toContainText("two");
  await let_("end");
  await world.waits(project, (p) => p.state === "succeeded");
  expect(wrong).toEqual([]);
  rmSync(here, { recursive: true });
});
