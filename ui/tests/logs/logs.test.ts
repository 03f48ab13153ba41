import { beforeEach, describe, expect, it } from "vitest";
import { compiled, exact, groups, marked, pieces, plain, ranges } from "@/features/logs/marks.ts";
import { clamp, factor, geometry, lowest, ROW, scrollTopOf, TALLEST, topOf } from "@/features/logs/scale.ts";
import { CHUNK, KEPT, type Line, LogStore, type Page } from "@/features/logs/store.ts";

const line = (n: number): Line => ({
  n,
  stream: "out",
  at: null,
  text: `line ${n}`,
  more_bytes: 0,
  open: false,
});
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(from + i));

describe("a log of millions of lines", () => {
  const g = geometry(2_000_000, 900, 12);

  it("fits into what a browser can scroll", () => {
    expect(g.spacer).toBe(TALLEST);
    expect(factor(g)).toBeGreaterThan(4);
  });

  it("has its first and its last line at the ends of the scroll bar", () => {
    expect(topOf(0, g)).toBe(0);
    expect(topOf(TALLEST - 900, g)).toBeCloseTo(lowest(g), 3);
    expect(lowest(g) + 900).toBeCloseTo(2_000_000 * ROW + 12, 3);
  });

  it.each([0, 1, 17.5, 1_234_567, 35_999_000])("comes back to the same place: %d", (top) => {
    expect(topOf(scrollTopOf(top, g), g)).toBeCloseTo(clamp(top, g), 4);
  });

  it("is an ordinary page when it is short", () => {
    const short = geometry(10, 900, 12);
    expect([factor(short), lowest(short), short.spacer]).toEqual([1, 0, 900]);
  });
});

describe("the lines at hand", () => {
  let asked: [number, AbortSignal, (page: Page) => void, (error: unknown) => void][] = [];
  let store: LogStore;
  const page = (start: number, to: number, total: number): Page => ({
    attempt: 1,
    start,
    total,
    complete: true,
    ended: false,
    lines: lines(start, to),
  });
  const answer = async (total: number) => {
    for (const [start, , done] of asked.splice(0)) done(page(start, Math.min(start + CHUNK, total), total));
    await Promise.resolve();
    await Promise.resolve();
  };

  beforeEach(() => {
    asked = [];
    store = new LogStore(
      (start, _, signal) => new Promise((done, fail) => asked.push([start, signal, done, fail])),
    );
  });

  it("are asked for once, in chunks, where somebody looks", async () => {
    store.look(0, 20);
    store.look(0, 20);
    expect(asked.map((a) => a[0])).toEqual([0]);
    await answer(5000);
    store.look(490, 520);
    expect(asked.map((a) => a[0])).toEqual([500]);
    await answer(5000);
    expect([store.at(0)?.n, store.at(519)?.n, store.at(4999)]).toEqual([0, 519, undefined]);
  });

  it("are not waited for when nobody looks at them any more", async () => {
    store.look(0, 10);
    await answer(1_000_000);
    store.look(100_000, 100_050);
    const [, signal] = asked[0] as (typeof asked)[0];
    store.look(900_000, 900_050);
    expect(signal.aborted).toBe(true);
  });

  it("grow by what is written, but never leave a hole that looks filled", async () => {
    store.look(0, 10);
    await answer(100);
    store.grow(page(100, 150, 150));
    expect(store.at(149)?.n).toBe(149);
    store.grow(page(700, 720, 720)); // some were lost on the way
    expect(store.at(700)).toBeUndefined();
    expect(store.total).toBe(720);
    store.look(690, 719);
    expect(asked.map((a) => a[0])).toEqual([500]);
    await answer(720);
    expect(store.at(719)?.n).toBe(719);
  });

  it("are forgotten where nobody has looked for the longest time", async () => {
    store.look(0, 10);
    await answer(10_000_000);
    for (let index = 1; index <= KEPT + 5; index += 1) {
      store.look(index * CHUNK, index * CHUNK + 10);
      await answer(10_000_000);
    }
    expect(store.at(0)).toBeUndefined();
    expect(store.at((KEPT + 5) * CHUNK)?.n).toBe((KEPT + 5) * CHUNK);
  });

  it("tell of a failure, and are asked for again at the next look", async () => {
    store.look(0, 10);
    (asked[0] as (typeof asked)[0])[3](new Error("away"));
    await Promise.resolve();
    await Promise.resolve();
    expect(String(store.error)).toContain("away");
    store.look(0, 10);
    expect(asked).toHaveLength(2);
  });
});

describe("a line's pieces", () => {
  it("have the colours that the program gave", () => {
    expect(pieces("a \u001b[31mbad\u001b[0m b")).toEqual([
      { text: "a ", names: "" },
      { text: "bad", names: "rd" },
      { text: " b", names: "" },
    ]);
    expect(plain("a \u001b[31mbad\u001b[0m")).toBe("a bad");
  });

  it("are marked across the borders of colours", () => {
    const text = "one \u001b[32mtwo three\u001b[0m four";
    const found = ranges(plain(text), compiled("two three fo", false));
    const result = marked(pieces(text), found, "hit");
    expect(result.filter((p) => p.names.includes("hit")).map((p) => p.text)).toEqual(["two three", " fo"]);
    expect(result.map((p) => p.text).join("")).toBe("one two three four");
  });

  it("have the groups of an expression marked within what it finds, the outer of nested ones", () => {
    const [text, regex] = ["frame 12: 36 vehicles", compiled("frame (\\d+): ((\\d+) vehicles)?", true)];
    if (!regex) throw new Error("no expression");
    const result = marked(marked(pieces(text), ranges(text, regex), "hl"), groups(text, regex), "group");
    const inGroups = result.filter((p) => p.names === "hl group").map((p) => p.text);
    expect(inGroups).toEqual(["12", "36 vehicles"]);
    expect(groups("frame 7: none", regex)).toEqual([[6, 7]]);
  });

  it("of what is sought with a capital letter are found as it is written, else in any case", () => {
    expect(ranges("Error ERROR error", compiled("error", false))).toHaveLength(3);
    expect(ranges("Error ERROR error", compiled("Error", false))).toEqual([[0, 5]]);
    expect([
      exact("\\S+ \\D", true),
      exact("\\pL\\p{Lu}x", true),
      exact("\\S", false),
      exact("Ä", true),
    ]).toEqual([false, false, true, true]);
  });

  it("of a text without its special signs are found literally, and a broken expression finds nothing", () => {
    expect(ranges("a.c abc", compiled("a.c", false))).toEqual([[0, 3]]);
    expect(compiled("(", true)).toBeNull();
    expect(ranges("aaa", compiled("x*", true))).toEqual([]);
  });
});
