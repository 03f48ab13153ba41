import { expect, test } from "vitest";
import { chartsOf } from "@/shared/drawn.ts";

const steps = [
  { definition: { id: "inspect", charts: [{ file: "counts.csv", x: "second", y: ["kept"], title: "" }] } },
  { definition: { id: "track", charts: [] } },
] as never;

test("a table is drawn where the stage that wrote it has a chart of it, and only there", () => {
  expect(chartsOf(steps, "0002-inspect/output/counts.csv")).toMatchObject({
    stage: 2,
    charts: [{ x: "second" }],
  });
  expect(chartsOf(steps, "0002-inspect/output/other.csv")).toBeNull();
  expect(chartsOf(steps, "0003-track/output/counts.csv")).toBeNull();
  expect(chartsOf(steps, "0002-inspect/workspace/counts.csv")).toBeNull();
});
