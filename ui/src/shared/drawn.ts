/** Which of the files that a question shows are drawn as the pipeline says instead of being listed row by row. Pure. */
import type { components } from "@/api/schema";
import type { Step } from "./project.ts";

type Chart = components["schemas"]["Chart"];

/** `path` as a question names it: "0002-inspect/output/counts.csv". */
export function chartsOf(
  steps: readonly Pick<Step, "definition">[],
  path: string,
): { stage: number; charts: Chart[] } | null {
  const [, number, id, file] = /^(\d+)-([^/]+)\/output\/(.+)$/.exec(path) ?? [];
  const charts =
    steps.find((s) => s.definition.id === id)?.definition.charts?.filter((c) => c.file === file) ?? [];
  return number && charts.length ? { stage: Number(number), charts } : null;
}
