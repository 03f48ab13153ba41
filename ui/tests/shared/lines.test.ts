import { describe, expect, test } from "vitest";
import { compared, folded, summed, within } from "@/shared/lines.ts";

const drawn = (before: string, after: string) =>
  compared(before, after).map((r) => {
    const sign = { same: " ", added: "+", gone: "-", changed: "~" }[r.kind];
    return `${sign}${r.left ?? ""}:${r.right ?? ""} ${r.kind === "gone" ? r.before : r.after}`;
  });

describe("two texts, line by line", () => {
  test("what is the same, added, gone and changed", () => {
    expect(drawn("a\nb\nc\nd\n", "a\nx\nc\nd\ne\n")).toEqual([
      " 1:1 a",
      "~2:2 x",
      " 3:3 c",
      " 4:4 d",
      "+:5 e",
    ]);
    expect(drawn("a\nb\nc\n", "c\n")).toEqual(["-1: a", "-2: b", " 3:1 c"]);
    expect(drawn("", "a\n")).toEqual(["+:1 a"]);
    expect(drawn("a", "a")).toEqual([" 1:1 a"]);
  });
  test("lines that moved are found by the shortest edit", () => {
    expect(drawn("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n").filter((l) => l.startsWith(" ")).length).toBe(
      4,
    );
  });
  test("both sides are there in full, whatever differs", () => {
    let seed = 7;
    const next = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed;
    };
    const some = () => Array.from({ length: next() % 25 }, () => "abc"[next() % 3]).join("\n");
    for (let round = 0; round < 300; round += 1) {
      const [before, after] = [some(), some()];
      const rows = compared(before, after);
      expect(
        rows
          .filter((r) => r.left !== null)
          .map((r) => r.before)
          .join("\n"),
      ).toBe(before);
      expect(
        rows
          .filter((r) => r.right !== null)
          .map((r) => r.after)
          .join("\n"),
      ).toBe(after);
      expect(rows.filter((r) => r.left !== null).map((r) => r.left)).toEqual(
        before ? before.split("\n").map((_, i) => i + 1) : [],
      );
      for (const r of rows) if (r.kind === "same") expect(r.before).toBe(r.after);
    }
  });
  test("what is alike far from a difference is folded", () => {
    const before = Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n");
    const rows = folded(compared(before, before.replace("line 15", "other")));
    expect(rows[0]).toBe(12);
    expect(rows.at(-1)).toBe(11);
    expect(rows.length).toBe(9);
  });
  test("it is summed up in words", () => {
    expect(summed(compared("a\nb\n", "a\nc\nd\ne\n"))).toBe("+2 lines, 1 changed");
    expect(summed(compared("a\nb\n", "a\n"))).toBe("−1 line");
    expect(summed(compared("a\n", "a\n"))).toBe("");
  });
  test("within a changed line only what differs is marked", () => {
    expect(within("memory: 16 GiB", "memory: 24 GiB")).toEqual([8, 10, 10]);
    expect(within("aa", "aaa")).toEqual([2, 2, 3]);
  });
});
