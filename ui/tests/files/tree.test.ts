import { expect, test } from "vitest";
import { above, type Folder, type Inside, inSight, moved, rowAt, rowsOf } from "@/features/files/tree.ts";

const folder = (path: string): Folder => ({ name: path.split("/").at(-1) ?? "", path, writable: true });
const ROOT: Folder = { name: "inputs", path: "", writable: true };
const KNOWN = new Map<string, Inside>(
  Object.entries({ "": ["a", "b"], a: ["a/x", "a/y"], "a/x": [], b: ["b/z"] }).map(([path, inside]) => [
    path,
    { folders: inside.map(folder), more: path === "b" },
  ]),
);
const rows = (...open: string[]) => rowsOf(ROOT, new Set(open), KNOWN);
const paths = (...open: string[]) => rows(...open).map((row) => row.path);

test("only what lies in open folders is shown, each under its own", () => {
  expect(paths()).toEqual([""]);
  expect(paths("", "a")).toEqual(["", "a", "a/x", "a/y", "b"]);
  expect(paths("a")).toEqual([""]); // open, and under what is closed
});

test("a row tells its depth, its place among its own, and whether something is in it", () => {
  expect(rows("", "a", "a/x", "b").map((r) => [r.path, r.level, r.at, r.of, r.state, r.more])).toEqual([
    ["", 1, 1, 1, "open", false],
    ["a", 2, 1, 2, "open", false],
    ["a/x", 3, 1, 2, "empty", false],
    ["a/y", 3, 2, 2, "closed", false],
    ["b", 2, 2, 2, "open", true],
    ["b/z", 3, 1, 1, "closed", false],
  ]);
});

test("a folder that is still being read is open, with nothing below", () => {
  expect(rowsOf(ROOT, new Set(["", "a"]), new Map([["", KNOWN.get("") as Inside]]))).toMatchObject([
    { path: "", state: "open" },
    { path: "a", state: "open" },
    { path: "b", state: "closed" },
  ]);
});

test("what is under a closed folder is not asked for", () => {
  expect(above("a/b/c")).toEqual(["", "a", "a/b"]);
  expect(above("")).toEqual([]);
  expect(inSight(new Set(["", "a/b", "b"]))).toEqual(["", "b"]);
  expect(inSight(new Set(["", "a", "a/b"]))).toEqual(["", "a", "a/b"]);
});

test("a folder that is out of sight or gone is marked at the nearest above it", () => {
  expect(rowAt(rows("", "a"), "a/y")).toBe(3);
  expect(rowAt(rows(""), "a/y")).toBe(1);
  expect(rowAt(rows("", "a"), "gone/long/ago")).toBe(0);
});

test("keys lead through a tree as everywhere", () => {
  const all = rows("", "a", "a/x"); // "", a, a/x, a/y, b
  expect(moved(all, 1, "ArrowDown")).toEqual({ does: "go", path: "a/x" });
  expect(moved(all, 4, "ArrowDown")).toEqual({ does: "go", path: "b" }); // the last one stays
  expect(moved(all, 0, "ArrowUp")).toEqual({ does: "go", path: "" });
  expect(moved(all, 3, "Home")).toEqual({ does: "go", path: "" });
  expect(moved(all, 0, "End")).toEqual({ does: "go", path: "b" });
  expect(moved(all, 4, "ArrowRight")).toEqual({ does: "open", path: "b" });
  expect(moved(all, 1, "ArrowRight")).toEqual({ does: "go", path: "a/x" });
  expect(moved(all, 2, "ArrowRight")).toEqual({ does: "go", path: "a/x" }); // nothing is in it
  expect(moved(all, 1, "ArrowLeft")).toEqual({ does: "close", path: "a" });
  expect(moved(all, 3, "ArrowLeft")).toEqual({ does: "go", path: "a" });
  expect(moved(rows(), 0, "ArrowLeft")).toEqual({ does: "go", path: "" });
  expect(moved(all, 3, "Enter")).toEqual({ does: "show", path: "a/y" });
  expect(moved(all, 3, "g")).toBeNull();
});

test("an open folder that is still being read is not left for the one beside it", () => {
  const reading = rowsOf(ROOT, new Set(["", "a"]), new Map([["", KNOWN.get("") as Inside]]));
  expect(moved(reading, 1, "ArrowRight")).toEqual({ does: "go", path: "a" });
});
