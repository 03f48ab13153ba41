import { expect, it } from "vitest";
import { gathered, type State } from "@/design/state.tsx";

const stages = (...states: State[]) =>
  states.map((state, at) => ({ name: `s${at}`, state, now: state === "running" }));

it("a long pipeline is told in few marks, a short one in all of its own", () => {
  const long = stages(...Array<State>(29).fill("succeeded"), "running", ...Array<State>(10).fill("none"));
  expect(gathered(long).map((cell) => [cell.state, cell.times])).toEqual([
    ["succeeded", 29],
    ["running", 1],
    ["none", 10],
  ]);
  expect(gathered(stages("succeeded", "succeeded", "none")).map((cell) => cell.times)).toEqual([1, 1, 1]);
});
