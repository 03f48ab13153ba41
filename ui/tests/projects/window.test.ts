import { describe, expect, it } from "vitest";
import { drawn, itemAt, tops } from "@/features/projects/window.ts";

const rows = (count: number) => tops(new Array(count).fill(52), count);

describe("what is drawn of a long list", () => {
  it("is what stands on the screen and a little more, not the list", () => {
    const starts = rows(10_000);
    const [first, last] = drawn(starts, 52 * 5_000, 600);
    expect(first).toBeLessThanOrEqual(5_000);
    expect(last).toBeGreaterThanOrEqual(5_012);
    expect(last - first).toBeLessThan(40);
  });

  it("stays the same while one scrolls by a few items, so that most frames cost nothing", () => {
    const starts = rows(10_000);
    const seen = new Set<string>();
    for (let top = 52 * 100; top < 52 * 140; top += 13) seen.add(drawn(starts, top, 600).join());
    expect(seen.size).toBeLessThan(25); // of 160 places
  });

  it("holds every item that can be seen, wherever one stands", () => {
    const heights = Array.from({ length: 500 }, (_, n) => (n % 7 ? 52 : 34));
    const starts = tops(heights, heights.length);
    for (let top = 0; top < (starts[500] ?? 0); top += 97) {
      const [first, last] = drawn(starts, top, 480);
      expect(starts[first]).toBeLessThanOrEqual(top);
      expect(starts[last] ?? 0).toBeGreaterThanOrEqual(Math.min(starts[500] ?? 0, top + 480));
    }
  });

  it("is nothing of nothing", () => {
    expect(drawn(tops([], 0), 0, 600)).toEqual([0, 0]);
    expect(itemAt(tops([], 0), 100)).toBe(0);
  });

  it("ends with the last item when the list has become shorter than one had scrolled", () => {
    const [first, last] = drawn(rows(3), 90_000, 600);
    expect([first, last]).toEqual([0, 3]);
  });
});
