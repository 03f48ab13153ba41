import { expect, test } from "vitest";
import { type Field, limitsOf } from "@/features/run/draft.ts";

const told = (parameter: object) => limitsOf({ parameter } as unknown as Field);

test("limits are told in words, with thousands apart, and as exact as they were written", () => {
  expect(told({ kind: "integer", min: "20", max: "1000000" })).toBe("Whole number, 20 to 1,000,000. ");
  expect(told({ kind: "number", min: "0.2000", max: null })).toBe("Number, from 0.2000. ");
  expect(told({ kind: "number", min: null, max: "-1234.5678" })).toBe("Number, up to -1,234.5678. ");
  expect(told({ kind: "integer", min: null, max: null })).toBe("");
});
