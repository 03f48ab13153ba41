import { describe, expect, it } from "vitest";
import {
  consequences,
  daysOf,
  inUse,
  type Leftover,
  limitOf,
  onDisk,
  sizeOf,
  typedOf,
  whatGoes,
} from "@/features/upkeep/upkeep.ts";

const NOTHING = { stages: "", gpus: "", cpu: "", memory: "" };
const GIB = 2 ** 30;
const STEPS = [
  {
    id: "detect",
    resources: {
      cpu: 2,
      memory: 4 * GIB,
      memory_max: 6 * GIB,
      shm: 0,
      gpu: { count: 1, memory: 0, model: "" },
    },
  },
  { id: "track", resources: { cpu: 1, memory: GIB, shm: 0 } },
];
const leftover = (more: Partial<Leftover>): Leftover => ({
  stage: 1,
  id: "detect",
  attempt: 1,
  kind: "failed_workspace",
  why: "workspace of a stage that failed",
  since: "2026-11-24T10:00:00Z",
  ...more,
});

describe("limits as they are typed", () => {
  it("are numbers, none where nothing is typed, memory in GiB", () => {
    expect(limitOf({ stages: "3", gpus: "0", cpu: "1,5", memory: "64" })).toEqual({
      limit: { stages: 3, gpus: 0, cpu: 1.5, memory: 64 * GIB },
      wrong: {},
    });
    expect(limitOf(NOTHING)).toEqual({ limit: {}, wrong: {} });
  });

  it("come back as they were set", () => {
    for (const typed of [NOTHING, { stages: "3", gpus: "0", cpu: "1.5", memory: "0.5" }])
      expect(typedOf(limitOf(typed).limit)).toEqual(typed);
  });

  it("are told what is wrong with them, each at its own field", () => {
    const { wrong } = limitOf({ stages: "0", gpus: "1.5", cpu: "two", memory: "-1" });
    expect(wrong.stages).toContain("At least 1");
    expect(wrong.gpus).toBe("A whole number.");
    expect(wrong.cpu).toContain("A number");
    expect(wrong.memory).toContain("A number");
    expect(limitOf({ ...NOTHING, gpus: "1e9" }).wrong.gpus).toContain("A number");
    expect(limitOf({ ...NOTHING, gpus: "9999999" }).wrong.gpus).toContain("At most");
  });
});

describe("what a limit means", () => {
  it("names the stage that could never start, by the most memory that it may use", () => {
    expect(consequences({ memory: 5 * GIB }, [], STEPS)).toEqual([
      "detect needs 6 GiB of memory, so it could never start: the project would pause there.",
    ]);
    expect(consequences({ gpus: 0 }, [], STEPS)).toHaveLength(1);
    expect(consequences({ memory: 6 * GIB, gpus: 1, cpu: 2, stages: 1 }, [], STEPS)).toEqual([]);
  });

  it("says that what runs beyond it goes on", () => {
    const stages = [
      { id: "track", state: "running" },
      { id: "track", state: "preparing" },
      { id: "track", state: "queued" },
      { id: "detect", state: "succeeded" },
    ];
    expect(inUse(stages, STEPS)).toEqual({ stages: 2, gpus: 0, cpu: 2, memory: 2 * GIB });
    expect(consequences({ stages: 1 }, stages, STEPS)).toEqual([
      "2 stages are in use now. What runs goes on; nothing new starts until it is less.",
    ]);
    expect(consequences({ stages: 2 }, stages, STEPS)).toEqual([]);
  });
});

it("days are a number, empty where the installation says it, and no time where they make no sense", () => {
  expect([daysOf("30"), daysOf(" 0,5 "), daysOf("")]).toEqual([30, 0.5, null]);
  for (const typed of ["-1", "a week", "99999999"]) expect(daysOf(typed)).toBeNaN();
});

it("what goes is told with how large it is, as far as that is known", () => {
  const items = [
    leftover({ bytes: 3 * GIB }),
    leftover({ bytes: GIB, kind: "superseded_attempt", why: "workspace of attempt 1, which ..." }),
    leftover({ kind: "superseded_attempt", why: "output of attempt 1, which a later attempt replaced" }),
  ];
  expect(whatGoes(items)).toBe("2 workspaces and 1 output of replaced attempts");
  expect(whatGoes(items.slice(0, 1))).toBe("1 workspace");
  expect(sizeOf(items.slice(0, 2))).toBe("4 GiB");
  expect(sizeOf(items)).toBe("more than 4 GiB");
  expect(sizeOf(items.slice(2))).toBe("of a size not counted yet");
});

it("what lies on the disk is told for each stage, all its attempts together, the largest first", () => {
  const part = (path: string, bytes: number, inside: Record<string, number> = {}) => ({
    path: `projects/p1/${path}`,
    bytes,
    files: 1,
    inside,
    complete: true,
    final: true,
    at: "2026-11-24T10:00:00Z",
  });
  expect(
    onDisk([
      part("stages/0001-detect/attempts/1", 100, { workspace: 60, output: 30, log: 10 }),
      part("stages/0001-detect/attempts/2", 50, { workspace: 50 }),
      part("stages/0000", 7),
      part("sweeps/2", 500),
      part("stages/0002-a-b/attempts/1", 0),
    ]),
  ).toEqual([
    { name: "shared workspace of sweep 2", number: 0, workspace: 500, output: 0, rest: 0, total: 500 },
    { name: "detect", number: 1, workspace: 110, output: 30, rest: 10, total: 150 },
    { name: "files given before the first stage", number: 0, workspace: 7, output: 0, rest: 0, total: 7 },
  ]);
});
