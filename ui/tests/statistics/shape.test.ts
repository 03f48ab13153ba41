import { describe, expect, it } from "vitest";
import { box, endOf, highest, reasonsOf } from "../../src/features/statistics/shape.ts";

const day = (idle: Record<string, number>) => ({ day: "2026-11-02", gpu_used: 0, gpu_total: 86_400, idle });

describe("how long stages take", () => {
  it("ends its axis at the next time that divides well", () => {
    expect([0.4, 61, 3_600, 3_601, 90_000, 400_000].map(endOf)).toEqual([
      1, 120, 3_600, 7_200, 172_800, 432_000,
    ]);
  });

  it("is drawn in parts of the width, and never beyond it", () => {
    expect(box({ p5: 10, p25: 25, median: 50, p75: 75, p95: 120 }, 100)).toEqual({
      low: 10,
      left: 25,
      middle: 50,
      right: 75,
      high: 100,
    });
  });

  it("is not drawn where nothing has succeeded", () => {
    expect(box({ p5: null, p25: null, median: null, p75: null, p95: null }, 100)).toBeNull();
    expect(box({ p5: 0, p25: 0, median: 0, p75: 0, p95: 0 }, 100)?.high).toBe(0);
  });
});

describe("idle GPUs", () => {
  it("name only the reasons that occur, in a fixed order, unknown ones last", () => {
    const found = reasonsOf([day({ down: 5, nothing: 3, unfit: 0 }), day({ reserved_for_later: 1 })]);
    expect(found.map((each) => each.word)).toEqual([
      "nothing to do",
      "draining or down",
      "reserved for later",
    ]);
  });

  it("end their axis at a round number of hours", () => {
    expect(highest([day({ nothing: 3_600 * 43, person: 3_600 * 20 })])).toBe(100);
    expect(highest([day({ nothing: 3_600 * 20 })])).toBe(20);
    expect(highest([day({ nothing: 1_800 })])).toBe(0.5);
    expect(highest([])).toBe(1);
  });
});
