/** What people may have in use at a time: set row by row, refused at the row that is wrong, in force at once, taken back. */
import { expect, faults, test } from "./world.ts";

test("limits are added, refused where they are wrong, changed, removed and taken back", async ({
  page,
  world,
}) => {
  const wrong = faults(page);
  const limits = async () =>
    (await world.call<{ items: { name: string; value: unknown }[] }>("GET", "/api/v1/settings")).items.find(
      (each) => each.name === "limits",
    )?.value;
  await world.call("POST", "/api/v1/groups", { name: "students", title: "" });
  await page.goto("/settings/installation");
  const form = page.getByRole("form", { name: "Limits" });
  await expect(form.getByText("Nobody is limited")).toBeVisible();

  await form.getByRole("button", { name: "Add a row" }).click();
  const first = form.getByRole("group", { name: "Row 1" });
  await expect(first.getByLabel("For")).toHaveValue("everyone");
  await first.getByLabel("GPUs").fill("4");
  await form.getByRole("button", { name: "Add a row" }).click();
  const second = form.getByRole("group", { name: "Row 2" });
  await second.getByLabel("For").selectOption("group");
  await form.getByRole("button", { name: "Save the limits" }).click();
  await expect(form.getByRole("alert")).toHaveText("Which group?");
  await second.getByLabel("Name").fill("students");
  await second.getByLabel("GPUs").fill("none");
  await form.getByRole("button", { name: "Save the limits" }).click();
  const refused = form.getByRole("listitem").nth(1).getByRole("alert");
  await expect(refused).toHaveText("gpus=none cannot be: gpus takes a whole number from 0 to 1000000.");
  await expect(form.getByRole("alert")).toHaveCount(1);
  expect(await limits()).toBe("");

  await second.getByLabel("GPUs").fill("1");
  await second.getByLabel("Memory, in GiB").fill("0,5");
  await expect(form.getByText("Each member of students may have 1 GPU and 0.5 GiB of memory")).toBeVisible();
  await form.getByRole("button", { name: "Save the limits" }).click();
  await expect.poll(limits).toBe("@everyone gpus=4; @students gpus=1 memory=0.5GiB");
  await expect(form.getByRole("button", { name: "Save the limits" })).toBeHidden();

  await form.getByRole("button", { name: "Remove row 1" }).click();
  await form.getByRole("button", { name: "Save the limits" }).click();
  await expect.poll(limits).toBe("@students gpus=1 memory=0.5GiB");
  await expect(page.getByRole("button", { name: "Undo" })).toHaveCount(1); // of the last change, not of the one before
  await page.getByRole("button", { name: "Undo" }).click();
  await expect.poll(limits).toBe("@everyone gpus=4; @students gpus=1 memory=0.5GiB");
  await expect(form.getByRole("group")).toHaveCount(2);
  await form.getByRole("button", { name: "Take back what was set here" }).click();
  await expect.poll(limits).toBe("");
  await expect(form.getByText("Nobody is limited")).toBeVisible();
  const told = await world.call<{ items: { what: string }[] }>("GET", "/api/v1/audit?limit=50");
  expect(told.items.filter((each) => each.what === "change_settings").length).toBeGreaterThanOrEqual(4);
  expect(wrong).toEqual([]);
});
