import { describe, expect, it } from "vitest";
import { against, best, lineage } from "@/features/history/lineage.ts";
import type { StageView } from "@/shared/project.ts";

const stage = (more: Partial<StageView>) =>
  ({ number: 4, id: "track", name: "0004-track", inputs: {}, point: {}, ...more }) as StageView;

describe("an execution in one line", () => {
  it("is a redo of another with what was changed", () => {
    const overrides = { values: { MIN_AREA: "400" }, environment: { LOG: "debug" } };
    expect(lineage(stage({ redo_of: 3, overrides: overrides as never }))).toBe(
      "redo of 0003 with MIN_AREA 400, LOG debug",
    );
  });
  it("else follows what it descends from", () =>
    expect(lineage(stage({ inputs: { detect: 2 } }))).toBe("after detect 0002"));
  it("or is one point of a sweep", () =>
    expect(lineage(stage({ sweep: 1, point: { A: "2" } }))).toBe("of sweep 1 with A 2"));
});

describe("side by side", () => {
  it("the best is marked only where there is one", () => {
    expect([
      best([3, 1, 2], "low"),
      best([3, 1, 2], "high"),
      best([1, 1], "low"),
      best([1, null], "low"),
      best(["a", "b"], "high"),
    ]).toEqual([1, 0, -1, -1, -1]);
  });
  it("a number says how far it is from the one it is compared to", () => {
    expect([
      against(119, 100),
      against(95.5, 100),
      against(100, 100),
      against(5, 0),
      against("x", 1),
      against(4838, 100),
    ]).toEqual(["+19 %", "−4.5 %", "", "", "", "× 48"]);
  });
});
