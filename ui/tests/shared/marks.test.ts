import { expect, test } from "vitest";
import { moved, spotOf, stageAt, stageSpot } from "@/shared/yaml/marks.ts";

const TEXT = `winslow: 1
stages:
  - id: detect
    comand: [x]
  - {id: track, resources: {cpu: 900}}
`;

test("a stage is found in the text, and the key of it that something is said about", () => {
  expect(stageSpot(TEXT, "detect")).toEqual({ line: 3, column: 9 });
  expect(stageSpot(TEXT, "track", "resources")).toEqual({ line: 5, column: 17 });
  expect(stageSpot(TEXT, "detect", "resources")).toEqual({ line: 3, column: 9 });
  expect(stageSpot(TEXT, "nobody")).toBeNull();
});

test("a mistake belongs to the stage that it stands in", () => {
  expect(stageAt(TEXT, { line: 4, column: 5 })).toBe("detect");
  expect(stageAt(TEXT, { line: 5, column: 29 })).toBe("track");
  expect(stageAt(TEXT, { line: 1, column: 1 })).toBe("");
  expect(stageAt(TEXT, { line: 0, column: 0 })).toBe("");
  expect(stageAt(TEXT, { line: 99, column: 1 })).toBe("");
});

test("places count from one", () => {
  expect(spotOf("ab\ncd", 4)).toEqual({ line: 2, column: 2 });
});

test("what is new and what has changed is told apart; without anything before nothing is", () => {
  const before = [
    { id: "a", cpu: 1 },
    { id: "b", cpu: 1 },
  ];
  const after = [
    { id: "a", cpu: 1 },
    { id: "b", cpu: 2 },
    { id: "c", cpu: 1 },
  ];
  expect(moved(before, after)).toEqual({ fresh: new Set(["c"]), changed: new Set(["b"]) });
  expect(moved(undefined, after)).toEqual({ fresh: new Set(), changed: new Set() });
});
