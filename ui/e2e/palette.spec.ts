/** Everything by typing, and all keys on one sheet. */
import AxeBuilder from "@axe-core/playwright";
import { expect, faults, test } from "./world.ts";

let project = "";
test.beforeAll(async ({ world }) => {
  project = await world.project("bellevue at dusk", { tags: ["b14"] });
  await world.project("tunnel");
});

test("a project, a page and an action are found by typing and taken by the keyboard alone", async ({
  page,
}) => {
  const wrong = faults(page);
  await page.goto("/nodes");
  await expect(page.getByRole("heading", { name: "Nodes", exact: true })).toBeAttached();

  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search, go to, do" });
  await expect(field).toBeFocused();
  await page.keyboard.type("dusk");
  const option = page.getByRole("option", { name: /bellevue at dusk/ });
  await expect(option).toHaveAttribute("aria-selected", "true");
  await expect(field).toHaveAttribute("aria-activedescendant", (await option.getAttribute("id")) ?? "?");
  await page.keyboard.press("Enter");
  await page.waitForURL(`**/projects/${project}`);
  await expect(page.getByRole("heading", { name: "bellevue at dusk" })).toBeVisible();

  // what can be done on this page, with its key
  await page.keyboard.press("Control+k");
  await expect(
    page.getByRole("group", { name: "Here" }).getByRole("option", { name: /Start make/ }),
  ).toBeVisible();
  await page.keyboard.type("history");
  await expect(page.getByRole("option", { name: /History/ }).first()).toContainText("h");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/history");

  // where one has been stands first when nothing is typed; a page's key does the same
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.waitForURL("**/statistics");
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("listbox").getByRole("option").first()).toContainText("bellevue at dusk");

  // up from the first is the last; Escape gives the focus back to the page
  await page.keyboard.press("ArrowUp");
  await expect(page.getByRole("listbox").getByRole("option").last()).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect(wrong).toEqual([]);
});

test("Ctrl Enter opens it in a tab of its own, and what nobody is called says so", async ({
  page,
  context,
}) => {
  await page.goto("/nodes");
  await page.locator(".palette").click();
  const field = page.getByRole("combobox", { name: "Search, go to, do" });
  await field.fill("tunnel");
  await expect(page.getByRole("option", { name: /tunnel/ })).toBeVisible();
  const coming = context.waitForEvent("page");
  await page.keyboard.press("Control+Enter");
  await (await coming).waitForURL("**/projects/p*");
  expect(new URL(page.url()).pathname).toBe("/nodes");
  await field.fill("no such thing as this");
  await expect(page.getByText("Nothing is called no such thing as this.")).toBeVisible();
});

test("the sheet of keys names those of the page and those of everywhere, and both can be used by everybody", async ({
  page,
}) => {
  await page.goto("/projects");
  await expect(page.getByRole("button", { name: /New project/ })).toBeVisible();
  await page.keyboard.press("?");
  const sheet = page.getByRole("dialog", { name: "Keyboard" });
  await expect(sheet.getByRole("region", { name: "Projects" })).toContainText("New project");
  await expect(sheet.getByRole("region", { name: "Everywhere" })).toContainText("Statistics");
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  expect((await new AxeBuilder({ page }).withTags(tags).analyze()).violations).toEqual([]);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("option").first()).toBeVisible();
  expect(
    (await new AxeBuilder({ page }).withTags(tags).include("[role=dialog]").analyze()).violations,
  ).toEqual([]);
});
