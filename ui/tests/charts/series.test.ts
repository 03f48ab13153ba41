import { expect, test } from "vitest";
import { bestOf, joined, varied } from "@/shared/series.ts";

const figures = (stage: number, id: string, x: number[], y: number[], point = {}) => ({
  stage,
  id,
  state: "succeeded",
  point,
  complete: true,
  code: "",
  text: "",
  series: { columns: [], x_name: "s", x_type: "number", x, y: { cars: y }, rows: x.length, thinned: false },
});
const run = (number: number, point: Record<string, string>, results: Record<string, unknown>) => ({
  number,
  id: "measure",
  point,
  results,
});

test("several executions share an axis, each named by what tells it from the others", () => {
  const found = joined([
    figures(1, "detect", [0, 2], [5, 6], { MIN: "100" }),
    figures(2, "detect", [0, 1], [7, 8], { MIN: "200" }),
  ] as never);
  expect(found.x).toEqual([0, 1, 2]);
  expect(found.series).toEqual([
    { label: "cars 0001 (100)", values: [5, null, 6] },
    { label: "cars 0002 (200)", values: [7, 8, null] },
  ]);
  const mixed = joined([figures(1, "detect", [0], [1]), figures(2, "track", [0], [2])] as never);
  expect(mixed.series.map((s) => s.label)).toEqual(["cars detect 0001", "cars track 0002"]);
});

test("results of a sweep stand over the value that was varied, other values apart", () => {
  const stages = [
    run(3, { T: "20", M: "fast" }, { score: 0.5 }),
    run(2, { T: "10", M: "fast" }, { score: "0.25" }),
    run(4, { T: "10", M: "exact" }, { score: 0.75 }),
    run(5, { T: "x", M: "exact" }, { score: 1 }),
    run(6, { T: "30", M: "exact" }, {}),
  ];
  expect(varied(stages, "T", ["score"])).toEqual({
    x: [10, 20],
    series: [
      { label: "score (M fast)", values: [0.25, 0.5] },
      { label: "score (M exact)", values: [0.75, null] },
    ],
  });
  expect(varied(stages.slice(0, 2), "", ["score"]).x).toEqual([2, 3]);
});

test("the best is the least or the greatest number, and nothing where there is none", () => {
  const stages = [
    run(1, {}, { e: 3 }),
    run(2, {}, { e: "1" }),
    run(3, {}, { e: "n/a" }),
    run(4, {}, { e: 3 }),
  ];
  expect(bestOf(stages, "e", "max")?.number).toBe(1);
  expect(bestOf(stages, "e", "min")?.number).toBe(2);
  expect(bestOf(stages, "other", "min")).toBeNull();
});
