/** What a person keeps for themselves: keys for programs, which work as far as they say, and no longer than they are wanted. */
import { expect, faults, test } from "./world.ts";

test("a token is shown once, opens what it says and nothing else, and nothing once it is withdrawn", async ({
  page,
  context,
  world,
}) => {
  const wrong = faults(page);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const project = await world.project("for a script");
  await page.goto("/settings/tokens");
  await expect(page.getByText("No tokens")).toBeVisible();
  await page.getByLabel("What it is for").fill("nightly import");
  await page.getByLabel(/Ends after days/).fill("30");
  await page.getByLabel(/start, stop, redo/).uncheck();
  await page.getByLabel(/bring, rename/).uncheck();
  await page.getByRole("button", { name: "Make a token" }).click();
  const once = page.getByText("It is shown this once:");
  await expect(once).toBeVisible();
  const secret = await page.locator(".note code").innerText();
  expect(secret).toMatch(/^wn_\S{20,}/);
  await page.getByRole("button", { name: "Copy" }).click();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(secret);
  const row = page.getByRole("row", { name: /nightly import/ });
  await expect(row).toContainText("read");
  await expect(row).not.toContainText("run");
  await expect(row).toContainText("never"); // not used yet
  await expect(row).toContainText(/\d+ [A-Z][a-z]{2}/);

  const as = async (method: string, path: string, data?: unknown) =>
    (
      await fetch(world.url + path, {
        method,
        body: data === undefined ? undefined : JSON.stringify(data),
        headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      })
    ).status;
  expect(await as("GET", `/api/v1/projects/${project}`)).toBe(200);
  expect(await as("POST", `/api/v1/projects/${project}/commands`, { kind: "resume_project" })).toBe(403); // it may only look
  await page.reload();
  await expect(row).toBeVisible();
  await expect(page.getByText(secret)).toHaveCount(0);
  await expect(once).toHaveCount(0);
  await expect(row).not.toContainText("never"); // it was used

  await row.getByRole("button", { name: "Withdraw" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Leave it" }).click();
  await expect(row).toBeVisible();
  await row.getByRole("button", { name: "Withdraw" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Withdraw it" }).click();
  await expect(page.getByText("No tokens")).toBeVisible();
  expect(await as("GET", `/api/v1/projects/${project}`)).toBe(401);
  expect(wrong).toEqual([]);
});
