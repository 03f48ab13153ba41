/** Pipelines: written with help, checked while one types, kept as versions, compared, published again, deleted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, faults, ROOT, test } from "./world.ts";

const TEXT = readFileSync(join(ROOT, "winslow_nomad/resources/examples/first-steps.yaml"), "utf-8");
const NAMED = (name: string) => TEXT.replace(/^name: .*$/m, `name: ${name}`);

async function atEnd(page: Page) {
  await page.locator(".cm-content").click();
  await page.keyboard.press("ControlOrMeta+End");
}

/** The list takes no key in its first moment, lest somebody who writes on takes an offer unseen. */
async function takeOffer(page: Page) {
  await page.waitForTimeout(300);
  await page.keyboard.press("Enter");
}

test("a pipeline is begun from an example, written with offers and cured where it is wrong", async ({
  page,
}) => {
  const wrong = faults(page);
  await page.goto("/pipelines");
  await page.getByRole("button", { name: "New pipeline" }).first().click();
  await page
    .getByRole("menuitem", { name: /First steps|first/i })
    .first()
    .click();
  await expect(page.locator(".cm-content")).toBeVisible();
  await expect(page.getByText("None. The server can read it.")).toBeVisible();

  await atEnd(page);
  await page.keyboard.insertText("\n  - id: last_one\n    ");
  await page.keyboard.type("nee");
  await expect(page.getByRole("option", { name: /needs/ })).toBeVisible();
  await takeOffer(page);
  const offers = page.locator(".cm-tooltip-autocomplete li");
  await expect(offers.first()).toBeVisible();
  await expect(offers.filter({ hasText: "last_one" })).toHaveCount(0);
  await takeOffer(page);
  await page.keyboard.press("End");
  await page.keyboard.insertText("\n    comand: [echo, hello]");
  const problems = page.getByRole("region", { name: "What it makes" }).or(page.locator(".workbench-side"));
  await expect(problems.getByText("did you mean command?")).toBeVisible();
  await expect(page.locator(".cm-lintRange-error")).toHaveText("comand");
  await problems.getByRole("button", { name: "Change", exact: true }).click();
  await expect(page.getByText("None. The server can read it.")).toBeVisible();
  await expect(page.getByRole("button", { name: /^last_one/ })).toBeVisible();

  // a reload loses nothing
  await page.reload();
  await expect(page.locator(".cm-content")).toContainText("last_one");
  await expect(page.getByText("draft", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: /Keep it/ }).click();
  await expect(page).toHaveURL(/name=first-steps/);
  await expect(page.getByText("draft", { exact: true })).toHaveCount(0);
  expect(wrong).toEqual([]);
});

test("what somebody else kept meanwhile is not overwritten, and what was typed is not lost", async ({
  page,
  world,
}) => {
  const name = "two-writers";
  await world.call("POST", "/api/v1/pipelines", { text: NAMED(name) });
  await page.goto(`/pipelines/edit?name=${name}`);
  await atEnd(page);
  await page.keyboard.type("\n# mine");
  await world.call("PUT", `/api/v1/pipelines/${name}`, { text: `${NAMED(name)}\n# theirs\n`, expected: 1 });
  await page.getByRole("button", { name: /Publish version 2/ }).click();
  await expect(page.getByText("kept version 2 while you typed")).toBeVisible();
  await page.getByRole("button", { name: /^Changes/ }).click();
  await expect(page.locator(".diff")).toContainText("# theirs");
  await expect(page.locator(".diff")).toContainText("# mine");
  await page.getByRole("button", { name: "Go on with mine" }).click();
  await page.getByRole("button", { name: /Publish version 3/ }).click();
  await expect(page.getByText("version 3", { exact: true }).first()).toBeVisible();
  const kept = await world.call<{ text: string }>("GET", `/api/v1/pipelines/${name}/versions/3`);
  expect(kept.text).toContain("# mine");
});

test("a project's pipeline is saved while the project runs, and a clash in it is told", async ({
  page,
  world,
}) => {
  const text = NAMED("own-copy");
  const project = await world.project("own copy", { text, start: true });
  await page.goto(`/projects/${project}/pipeline`);
  await atEnd(page);
  await page.keyboard.insertText("\n  - id: more\n    needs: [count]\n    command: [echo, more]\n");
  await page.getByRole("button", { name: /Save for this project/ }).click();
  await expect(page.getByText("changed here")).toBeVisible();
  await expect(page.getByText("draft", { exact: true })).toHaveCount(0);

  await atEnd(page);
  await page.keyboard.type("# and more");
  const theirs = text.replace(/^title: .*$/m, "title: By another");
  await world.call("PUT", `/api/v1/projects/${project}/pipeline`, { text: theirs });
  await expect(page.getByText("was changed while you typed")).toBeVisible();
  await page.getByRole("button", { name: "Take theirs" }).click();
  await expect(page.locator(".cm-content")).toContainText("By another");
  await expect(page.locator(".cm-content")).not.toContainText("# and more");
});

test("versions are compared, an earlier one is published again, and the pipeline goes to the trash and comes back", async ({
  page,
  world,
}) => {
  const name = "three-versions";
  await world.call("POST", "/api/v1/pipelines", { text: NAMED(name), comment: "a first one" });
  await world.call("PUT", `/api/v1/pipelines/${name}`, {
    text: NAMED(name).replace(/^title: .*$/m, "title: Another title"),
    comment: "another title",
  });
  await page.goto("/pipelines");
  await page.getByRole("link", { name: "Another title" }).click();
  await expect(page.getByRole("heading", { name: /Another title/ })).toBeVisible();
  const diff = page.getByRole("region", { name: "version 1 and version 2" });
  await expect(diff).toContainText("1 changed");
  await expect(diff.locator("[data-kind=changed]")).toContainText("Another title");

  await page.setViewportSize({ width: 390, height: 844 });
  await expect(diff.locator("[data-kind=changed]")).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await page.setViewportSize({ width: 1440, height: 900 });

  await page.getByRole("button", { name: /a first one/ }).click();
  await page.getByRole("button", { name: "Publish version 1 again as 3" }).click();
  await expect(page.getByText("version 1 again")).toBeVisible();
  const third = await world.call<{ text: string }>("GET", `/api/v1/pipelines/${name}/versions/3`);
  expect(third.text).toBe(NAMED(name));

  await page.getByRole("button", { name: "Delete…" }).click();
  await expect(page.getByText("Its 3 versions stay.")).toBeVisible();
  await page.getByRole("button", { name: "Put it into the trash" }).click();
  await expect(page).toHaveURL(/\/pipelines$/);
  await page.getByRole("button", { name: /in the trash/ }).click();
  await page
    .getByRole("listitem")
    .filter({ hasText: name })
    .getByRole("button", { name: "Take it back" })
    .click();
  await expect(page.getByRole("cell", { name: new RegExp(name) })).toBeVisible();
});
