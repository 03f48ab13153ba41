import { expect, test } from "vitest";
import { mixedUp, newRow, rowsOf, sentence, textOf, whoOf, wrongRows } from "@/features/settings/limits.ts";

const TEXT = "@everyone gpus=4 cpu=32; @students gpus=1; ann stages=20 gpus=8 memory=256GiB";

test("what is read and not changed is written as it was", () => {
  expect(textOf(rowsOf(TEXT))).toBe(TEXT);
  expect(textOf(rowsOf(" bob   memory=1.5TiB;; "))).toBe("bob memory=1.5TiB");
  expect(textOf(rowsOf("bob memory=512MiB later=7"))).toBe("bob memory=512MiB later=7");
  expect(textOf(rowsOf(""))).toBe("");
});

test("each row knows whom it is for and how much", () => {
  const [all, group, person] = rowsOf(TEXT);
  expect([all?.kind, group?.kind, person?.kind]).toEqual(["everyone", "group", "person"]);
  expect([all?.name, group?.name, person?.name]).toEqual(["", "students", "ann"]);
  expect(person?.amounts).toEqual({ stages: "20", gpus: "8", cpu: "", memory: "256" });
});

test("memory is in GiB unless another unit is typed, and a comma is a point", () => {
  const row = { ...newRow(), name: "ann" };
  const typed = (memory: string, cpu = "") => textOf([{ ...row, amounts: { ...row.amounts, memory, cpu } }]);
  expect(typed("64")).toBe("ann memory=64GiB");
  expect(typed("0,5", "1,5")).toBe("ann cpu=1.5 memory=0.5GiB");
  expect(typed("512 MiB")).toBe("ann memory=512MiB");
  expect(typed("much")).toBe("ann memory=much");
});

test("an @ that is typed as well does no harm", () => {
  expect(whoOf({ ...newRow("group"), name: " @lab " })).toBe("@lab");
  expect(whoOf({ ...newRow("everyone"), name: "left over" })).toBe("@everyone");
});

test("what would become another row is found before it is sent", () => {
  const row = { ...newRow(), name: "ann" };
  expect(mixedUp(row)).toBe("");
  expect(mixedUp({ ...row, name: "  " })).toBe("Who?");
  expect(mixedUp({ ...newRow("group") })).toBe("Which group?");
  expect(mixedUp({ ...newRow("everyone") })).toBe("");
  expect(mixedUp({ ...row, name: "ann; bob" })).toMatch(/cannot be/);
  expect(mixedUp({ ...row, amounts: { ...row.amounts, gpus: "1; eve gpus=9" } })).toMatch(/cannot be/);
});

test("what the server finds wrong goes to the row it is about", () => {
  const rows = rowsOf(TEXT);
  const places = [
    { field: "limits.1", message: "no" },
    { field: "limits.9", message: "gone" },
    { field: "body.values", message: "else" },
  ];
  expect(wrongRows(places, rows)).toEqual({ [rows[1]?.id ?? -1]: "no" });
});

test("a row says in a sentence what it does", () => {
  expect(rowsOf(TEXT).map(sentence)).toEqual([
    "Everybody without a row of their own or of a group may have 4 GPUs and 32 cores in use at a time, and of the rest whatever is free.",
    "Each member of students may have 1 GPU in use at a time, and of the rest whatever is free.",
    "ann may have 20 stages, 8 GPUs and 256 GiB of memory in use at a time, and of the rest whatever is free.",
  ]);
  expect(rowsOf("eve stages=1 gpus=0 cpu=1 memory=512MiB").map(sentence)).toEqual([
    "eve may have 1 stage, no GPU, 1 core and 512 MiB of memory in use at a time.",
  ]);
  expect(sentence(newRow())).toBe("");
});
