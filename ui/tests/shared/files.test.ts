import { expect, test } from "vitest";
import { kindOf, rowsOf } from "@/shared/files.ts";

test("a quoted cell keeps its commas, its quotes and its line ends", () => {
  const text = 'name,said\r\n"a, b","he said ""go"""\r\nc,"two\nlines"\r\n';
  expect(rowsOf(text, 10, true)).toEqual([
    ["name", "said"],
    ["a, b", 'he said "go"'],
    ["c", "two\nlines"],
  ]);
});

test("a quote within a cell is a letter like any other", () => {
  expect(rowsOf('size\n5" pipe\n', 10, true)).toEqual([["size"], ['5" pipe']]);
});

test("the last line of a text that was cut off is not shown", () => {
  expect(rowsOf("a,b\n1,2\n3", 10, false)).toEqual([
    ["a", "b"],
    ["1", "2"],
  ]);
  expect(rowsOf("a,b\n1,2\n3", 10, true)).toHaveLength(3);
});

test("empty cells stay where they are, empty lines are no rows", () => {
  expect(rowsOf("a,,c\n\n,,\n", 10, true)).toEqual([
    ["a", "", "c"],
    ["", "", ""],
  ]);
});

test("no more rows are read than are shown", () => {
  expect(rowsOf("a\n".repeat(1000), 3, true)).toHaveLength(3);
});

test("a file with a separator of its own is read with it", () => {
  expect(rowsOf("a\tb\n1,5\t2\n", 10, true, "\t")).toEqual([
    ["a", "b"],
    ["1,5", "2"],
  ]);
});

test("what a file is is told by the end of its name, whatever its case", () => {
  expect(["a.CSV", "b.Mp4", "README", "x.bin"].map(kindOf)).toEqual(["table", "video", "text", "other"]);
});
