import { expect, test } from "vitest";
import { afterWith, baseOf, changeOf, choices, commandOf, type Form, fresh } from "@/features/run/draft.ts";

const base = (id: string, number: number, suggested = false) => ({
  id,
  number,
  suggested,
  state: "succeeded",
});
const bases = [base("track", 9, true), base("check", 8, true), base("track", 5), base("detect", 1, true)];
const chosen = (value: unknown) => ({ value, inherited: value, origin: "" });
const form = {
  id: "report",
  bases,
  fields: [],
  sweep: {},
  grid: {},
  image: chosen("traffic:1"),
  command: chosen(["python", "report.py"]),
  entrypoint: chosen(null),
  resources: chosen(null),
  workspace: chosen("previous"),
  timeout: chosen(null),
} as unknown as Form;

test("what a run goes on from is chosen among the stages that it needs; the others stay as they are", () => {
  const needs = ["track", "check"];
  expect(choices(form, needs).map((c) => c.id)).toEqual(["track"]);
  expect(baseOf(form, null, "track")).toBe(9);
  const after = afterWith(form, needs, null, 5);
  expect(after).toEqual([5, 8]);
  expect(baseOf(form, after, "track")).toBe(5);
  expect(commandOf(form, { ...fresh(form), after }, null, {})).toMatchObject({ after: [5, 8], resume: true });
});

test("image and command are sent where they are others, and what waits in line is changed where it stands", () => {
  const draft = { ...fresh(form), image: "traffic:2", command: ["sh"], keepPaused: true };
  expect(commandOf(form, draft, 3, {})).toMatchObject({
    kind: "redo_stage",
    stage: 3,
    resume: false,
    overrides: { image: "traffic:2", command: ["sh"] },
  });
  expect(changeOf(form, { ...draft, image: "" }, 7)).toMatchObject({
    kind: "change_queued",
    stage: 7,
    overrides: { image: null, command: ["sh"] },
  });
});

test("of a sweep it is said whether its stages share a workspace; of a single run it is not", () => {
  const draft = { ...fresh(form), sweepWorkspace: "nested" as const };
  expect(commandOf(form, draft, null, { AREA: ["1", "2"] })).toMatchObject({ sweep_workspace: "nested" });
  expect(commandOf(form, draft, null, {})).toMatchObject({ sweep_workspace: "" });
});
