import { expect, it } from "vitest";
import { asksOf, others } from "@/features/inbox/asks.ts";

const item = (more: object) =>
  ({ project: "p1", gate: "", kind: "failure", since: "2026-11-24T10:00:00Z", show: [], ...more }) as never;

it("the failures of a project are one thing to look at, each question is one of its own, the oldest first", () => {
  const found = asksOf([
    item({ since: "2026-11-24T12:00:00Z", text: "b failed" }),
    item({ text: "a failed" }),
    item({ project: "p2", gate: "g2", kind: "confirm", since: "2026-11-24T11:00:00Z", text: "go?" }),
    item({ project: "p2", gate: "g1", kind: "values", since: "2026-11-24T09:00:00Z", text: "which?" }),
  ]);
  expect(found.map((ask) => [ask.key, ask.text, ask.more])).toEqual([
    ["p2/g1", "which?", 0],
    ["p1", "a failed", 1],
    ["p2/g2", "go?", 0],
  ]);
});

it("of very many failures it does not say how many there are", () => {
  const failures = (many: number) =>
    Array.from({ length: many }, (_, at) => item({ since: `2026-11-24T1${at}:00:00Z` }));
  expect([1, 2, 4, 5].map((many) => asksOf(failures(many)).map(others))).toEqual([
    [""],
    ["1 more failure"],
    ["3 more failures"],
    ["at least 4 more failures"],
  ]);
});
