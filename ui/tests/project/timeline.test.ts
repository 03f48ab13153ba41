import { describe, expect, it } from "vitest";
import { answered, beside, type Lane, lanes, ticks } from "@/features/project/timeline.ts";

const T = Date.parse("2026-11-24T10:00:00Z");
const at = (minutes: number) => new Date(T + minutes * 60_000).toISOString();
const project = (stage: object) =>
  ({
    gates: [],
    pipeline: { stages: [] },
    stages: [{ number: 1, id: "track", state: "running", ...stage }],
  }) as never;

describe("a stage that was tried twice", () => {
  const tried = lanes(
    project({
      queued: at(0),
      started: at(10),
      attempts: [
        {
          number: 1,
          made: at(1),
          started: at(10),
          outcome: { cause: "node_lost", message: "", ended: at(30) },
        },
        { number: 2, made: at(31), started: at(40), outcome: null },
      ],
    }),
    T + 60 * 60_000,
  )[0] as Lane;

  it("shows each attempt, how the first ended, and what was waited between them", () => {
    expect(tried.spans.map((s) => [s.kind, (s.from - T) / 60_000, (s.to - T) / 60_000])).toEqual([
      ["waited", 0, 10],
      ["broken", 10, 30],
      ["waited", 30, 40],
      ["ran", 40, 60],
    ]);
    expect(tried.spans[1]?.text).toBe("node lost");
  });
});

it("what waits says in its lane why", () => {
  const [lane] = lanes(
    project({
      state: "submitted",
      word: "waits",
      detail: "for its turn",
      queued: at(0),
      reason: { text: "waits for its turn" },
    }),
    T + 60_000,
  );
  expect(lane?.text).toBe("waits for its turn");
});

it("the words beside a bar stand where there is room for them", () => {
  const lane = (from: number, to: number): Lane => ({
    key: "1",
    name: "a",
    number: 1,
    state: "submitted",
    spans: [{ kind: "waited", from, to }],
    text: "for a GPU with 16 GiB: both are in use",
  });
  const r = { from: 0, to: 100 };
  expect([beside(lane(0, 20), r), beside(lane(80, 100), r), beside(lane(0, 100), r)]).toEqual([
    "behind",
    "before",
    "on",
  ]);
});

it("a minute has marks too", () => expect(ticks({ from: T, to: T + 60_000 }, 7).length).toBeGreaterThan(2));

describe("a question that was answered", () => {
  const entry = (what: string, text: string, gate: string) => ({
    what,
    stage: 1,
    id: "track",
    attempt: 0,
    text,
    data: { gate },
  });
  const history = [
    { version: 9, at: at(30), actor: "mara", entries: [entry("gate_answered", "go", "g1")] },
    { version: 5, at: at(10), actor: "", entries: [entry("gate_opened", "Is it good?", "g1")] },
    { version: 4, at: at(4), actor: "", entries: [entry("gate_opened", "Closed by a stop", "g0")] },
  ];

  it("is drawn between what was waited for machines, with who was waited for and what was said", () => {
    const [lane] = lanes(
      project({ queued: at(0), started: at(40) }),
      T + 60 * 60_000,
      answered(history as never),
    );
    expect(lane?.spans.map((s) => [s.kind, (s.from - T) / 60_000, (s.to - T) / 60_000])).toEqual([
      ["waited", 0, 10],
      ["asked", 10, 30],
      ["waited", 30, 40],
      ["ran", 40, 60],
    ]);
    expect(lane?.spans[1]).toMatchObject({ actor: "mara", text: "go on" });
  });

  it("that nobody answered is not drawn as if somebody had", () => {
    expect(answered(history.slice(1) as never).size).toBe(0);
  });
});

it("when a running one is likely to end stands in what is expected, not before its beginning", () => {
  const spans = [
    { kind: "ran" as const, from: 20, to: 60 },
    { kind: "expected" as const, from: 60, to: 97 },
  ];
  const lane = { key: "1", name: "track", number: 1, state: "running", spans, text: "" };
  expect(beside(lane, { from: 0, to: 100 })).toBe("on");
});
