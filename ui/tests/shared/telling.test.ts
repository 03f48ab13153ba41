import { expect, test } from "vitest";
import type { components } from "@/api/schema";
import { happened, mine } from "@/shared/browser-notes.ts";
import { markOf, titleOf } from "@/shared/title.ts";

type Row = components["schemas"]["Row"];
const NOW = Date.parse("2026-11-24T14:32:00Z");
const row = (more: Partial<Row> = {}): Row =>
  ({
    id: "p1",
    name: "bridge",
    state: "running",
    author: "ada",
    role: "owner",
    gates: [],
    failures: [],
    ...more,
  }) as Row;
const gate = (since: string) =>
  ({ id: "g1", kind: "confirm", question: "Start track?", since }) as NonNullable<Row["gates"]>[number];
const failure = (since: string, acknowledged = false) =>
  ({ stage: 4, id: "track", cause: "exit", message: "exit code 3", since, acknowledged }) as NonNullable<
    Row["failures"]
  >[number];

test("a question, a failure and the end are each told once", () => {
  const asks = row({ state: "waiting", gates: [gate("2026-11-24T10:00:00Z")] });
  expect(happened(row(), asks, NOW).map((t) => t.body)).toEqual(["Start track?"]);
  expect(happened(asks, { ...asks, version: 9 }, NOW)).toEqual([]);
  const failed = row({ state: "paused", failures: [failure("2026-11-24T10:00:00Z")] });
  expect(happened(row(), failed, NOW).map((t) => t.title)).toEqual(["bridge: track failed"]);
  expect(happened(failed, failed, NOW)).toEqual([]);
  const done = row({ state: "succeeded" });
  expect(happened(row(), done, NOW).map((t) => [t.title, t.to])).toEqual([
    ["bridge is done", "/projects/p1"],
  ]);
  expect(happened(done, done, NOW)).toEqual([]);
});

test("of a project that was not known before only what is young is told, and never that it is done", () => {
  expect(happened(undefined, row({ gates: [gate("2026-11-24T14:31:50Z")] }), NOW)).toHaveLength(1);
  expect(happened(undefined, row({ gates: [gate("2026-11-24T10:00:00Z")] }), NOW)).toEqual([]);
  expect(happened(undefined, row({ state: "succeeded" }), NOW)).toEqual([]);
});

test("who may not answer is not asked, and what was looked at is told no more", () => {
  expect(happened(row(), row({ role: "viewer", gates: [gate("2026-11-24T14:31:50Z")] }), NOW)).toEqual([]);
  expect(happened(row(), row({ failures: [failure("2026-11-24T14:31:50Z", true)] }), NOW)).toEqual([]);
});

test("mine are those I made and those I was added to by name, not those of everybody", () => {
  expect(mine(row(), "ada")).toBe(true);
  expect(mine(row({ participants: [{ user: "mem", role: "member" }] }), "mem")).toBe(true);
  expect(mine(row({ participants: [{ user: "@everyone", role: "member" }] }), "mem")).toBe(false);
});

test("the tab shows how its project stands, and before that what waits", () => {
  expect(titleOf("bridge", 0, "running")).toBe("▶ bridge · Winslow");
  expect(titleOf("bridge", 2, "failed")).toBe("(2) ✕ bridge · Winslow");
  expect(titleOf("Nodes", 0)).toBe("Nodes · Winslow");
  expect(markOf("", 0)).toBe("");
  expect(markOf("failed", 3)).toContain("#d92d20");
  expect(markOf("running", 3)).toBe(markOf("waiting", 0)); // what waits for me comes before what runs
});
