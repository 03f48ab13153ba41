/** An execution in one line: what it came from and what was changed. Pure. */
import { numbered, type StageView } from "@/shared/project.ts";

export function lineage(stage: StageView): string {
  const changed = Object.entries({
    ...stage.overrides?.values,
    ...stage.overrides?.environment,
    ...stage.point,
  }).map(([k, v]) => `${k} ${v}`);
  const with_ = changed.length ? `with ${changed.join(", ")}` : "";
  const of = stage.redo_of
    ? `redo of ${numbered(stage.redo_of)}`
    : stage.sweep
      ? `of sweep ${stage.sweep}`
      : "";
  const from = Object.entries(stage.inputs ?? {}).map(([id, n]) => `${id} ${numbered(n)}`);
  // what the workspace was taken from says most; the others are its own past
  const source =
    stage.source?.kind === "stage"
      ? from.find((each) => each.endsWith(numbered(stage.source?.number ?? 0)))
      : undefined;
  const after = from.length && !of ? `after ${source ?? from.join(", ")}` : "";
  return [of || after, with_].filter(Boolean).join(" ");
}

/** Which of the compared values is the best: the lowest or the highest; -1 where that cannot be said. */
export function best(values: unknown[], rule: "low" | "high"): number {
  const numbers = values.map((v) => (typeof v === "number" ? v : Number.NaN));
  if (numbers.filter((n) => !Number.isNaN(n)).length < 2) return -1;
  let at = -1;
  numbers.forEach((n, i) => {
    if (Number.isNaN(n)) return;
    const there = at < 0 ? Number.NaN : (numbers[at] as number);
    if (at < 0 || (rule === "low" ? n < there : n > there)) at = i;
  });
  const known = numbers.filter((n) => !Number.isNaN(n));
  const spread = Math.max(...known) - Math.min(...known);
  return spread <= 0.01 * Math.max(...known.map(Math.abs)) ? -1 : at;
}

/** "+19 %" beside a number, against the one it is compared to. */
export function against(value: unknown, base: unknown): string {
  if (typeof value !== "number" || typeof base !== "number" || !base || value === base) return "";
  const part = ((value - base) / Math.abs(base)) * 100;
  if (part >= 1000) return `× ${Math.round(value / base).toLocaleString("en-GB")}`;
  const text = Math.abs(part) >= 10 ? Math.round(part).toString() : part.toFixed(1);
  return `${part > 0 ? "+" : "−"}${text.replace("-", "")} %`;
}
