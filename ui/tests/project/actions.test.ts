import { expect, test } from "vitest";
import { actions } from "@/features/project/actions.ts";

const words = (project: object) =>
  actions({
    may: ["run"],
    trashed: null,
    gates: [],
    failures: [],
    pause: null,
    stages: [],
    pipeline: { stages: [{ definition: { id: "detect" }, state: "later" }] },
    ...project,
  } as never).map((action) => action.word);

test("what waits for its turn is not started once more, it is paused; what has not begun is started", () => {
  expect(words({ state: "queued", stages: [{ number: 1, id: "detect", state: "queued" }] })).toEqual([
    "Pause",
  ]);
  expect(words({ state: "idle" })).toEqual(["Start detect"]);
});

test("what no node can take is tried again; what it asks for is changed where it is told", () => {
  const stages = [{ number: 1, id: "detect", state: "queued" }];
  expect(words({ state: "paused", stages, pause: { kind: "impossible", stage: 1 } })).toEqual(["Try again"]);
  expect(words({ state: "paused", stages, pause: { kind: "person" } })).toEqual([
    "Resume with detect",
    "Resume, then pause",
  ]);
});
