import { expect, it } from "vitest";
import { cores } from "@/shared/meters.ts";

it("cores in use are what was spent between two readings", () =>
  expect(
    cores([
      { at: 0, cpuSeconds: 10, memory: 1 },
      { at: 5_000, cpuSeconds: 20, memory: 1 },
      { at: 10_000, cpuSeconds: 22.5, memory: 1 },
    ]),
  ).toEqual([2, 0.5]));
