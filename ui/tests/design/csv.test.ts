import { expect, test } from "vitest";
import { csvOf } from "@/design/charts/csv.ts";

test("a chart becomes a file that spreadsheets read as it is meant", () => {
  const text = csvOf([
    { name: "second, of video", values: [0, 1.5] },
    { name: "said", values: ['a "b"', null] },
  ]);
  expect(text).toBe('"second, of video",said\r\n0,"a ""b"""\r\n1.5,\r\n');
});

test("no text of a stage becomes a formula, and negative numbers stay numbers", () => {
  expect(csvOf([{ name: "x", values: ["=1+1", "-5", -5, "@a"] }])).toBe("x\r\n'=1+1\r\n-5\r\n-5\r\n'@a\r\n");
});
