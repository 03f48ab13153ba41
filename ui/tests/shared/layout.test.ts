import { expect, test } from "vitest";
import { layout } from "@/shared/layout.ts";

const CHAIN = ["detect", "track", "report"].map((id, at, all) => ({
  id,
  needs: at ? [all[at - 1] ?? ""] : [],
}));
const places = (way: "across" | "down") =>
  CHAIN.map(({ id }) => layout(CHAIN, way).nodes.get(id)).map((node) => [node?.x ?? -1, node?.y ?? -1]);
const rises = (numbers: number[]) => numbers.every((n, at) => !at || n > (numbers[at - 1] ?? n));

test("what follows stands to the right of what it needs, or below it where the graph goes downwards", () => {
  const [across, down] = [places("across"), places("down")];
  expect(rises(across.map(([x = 0]) => x))).toBe(true);
  expect(new Set(across.map(([, y]) => y)).size).toBe(1);
  expect(rises(down.map(([, y = 0]) => y))).toBe(true);
  expect(new Set(down.map(([x]) => x)).size).toBe(1);
});
