/** What has been when: one lane per execution, with waiting, running and what is expected. Pure; milliseconds since 1970. */
import type { components } from "@/api/schema";
import type { Project, StageView } from "@/shared/project.ts";

type Told = components["schemas"]["Told"];

export interface Span {
  kind: "waited" | "asked" | "ran" | "broken" | "expected";
  from: number;
  to: number;
  /** of a stage with several attempts, and how it ended */
  attempt?: number;
  text?: string;
  /** of a question: who answered it, and what */
  actor?: string;
}

/** A question that was answered. */
export interface Asked {
  from: number;
  to: number;
  actor: string;
  answer: string;
}

const ANSWERS: Record<string, string> = { go: "go on", skip: "skip it", stop: "stop here" };

/** The questions of a history that were answered, by the stage that waited for them. */
export function answered(history: readonly Told[]): Map<number, Asked[]> {
  const opened = new Map<string, number>();
  const found = new Map<number, Asked[]>();
  for (const told of [...history].sort((a, b) => a.version - b.version)) {
    for (const entry of told.entries ?? []) {
      const gate = String(entry.data?.gate ?? "");
      if (entry.what === "gate_opened") opened.set(gate, Date.parse(told.at));
      const from = opened.get(gate);
      if (entry.what !== "gate_answered" || from === undefined || !entry.stage) continue;
      const one = {
        from,
        to: Date.parse(told.at),
        actor: told.actor ?? "",
        answer: ANSWERS[entry.text ?? ""] ?? "",
      };
      found.set(entry.stage, [...(found.get(entry.stage) ?? []), one]);
    }
  }
  return found;
}

export interface Lane {
  key: string;
  name: string;
  number: number;
  state: string;
  spans: Span[];
  /** what stands beside the last span */
  text: string;
}

type Shown = Pick<Project, "stages" | "gates" | "pipeline">;

export function lanes(
  project: Shown,
  now: number,
  past: ReadonlyMap<number, readonly Asked[]> = new Map(),
): Lane[] {
  const asked = new Map(project.gates.map((g) => [g.stage, Date.parse(g.since)]));
  const executed = [...project.stages]
    .sort((a, b) => a.number - b.number)
    .map((s) => lane(s, asked.get(s.number), past.get(s.number) ?? [], now));
  const coming = project.pipeline.stages
    .filter((s) => s.state === "later" && s.expected_start && s.expected_end)
    .map((s): Lane => {
      const [from, to] = [Date.parse(s.expected_start ?? ""), Date.parse(s.expected_end ?? "")];
      return {
        key: s.definition.id,
        name: s.definition.id,
        number: 0,
        state: "none",
        spans: [{ kind: "expected", from, to }],
        text: "",
      };
    });
  return [...executed, ...coming];
}

function lane(stage: StageView, asked: number | undefined, past: readonly Asked[], now: number): Lane {
  const spans: Span[] = [];
  const queued = stage.queued ? Date.parse(stage.queued) : null;
  const started = stage.started ? Date.parse(stage.started) : null;
  const ended = stage.ended ? Date.parse(stage.ended) : null;
  const end = ended ?? now;
  if (queued !== null) {
    const until = started ?? end;
    const open =
      asked !== undefined && started === null ? [{ from: asked, to: until, actor: "", answer: "" }] : [];
    spans.push(...waits(queued, until, [...past, ...open]));
  }
  spans.push(...attempts(stage, started, end));
  if (ended === null && stage.expected) {
    const expected = Date.parse(stage.expected);
    if (expected > now) spans.push({ kind: "expected", from: Math.max(now, started ?? now), to: expected });
  }
  return {
    key: String(stage.number),
    name: stage.id,
    number: stage.number,
    state: stage.state,
    spans,
    text:
      started === null && ended === null
        ? (stage.reason?.text ?? (stage.detail || stage.word))
        : (stage.detail ?? ""),
  };
}

/** From `from` to `to`: what was waited for a person, and for machines before, between and after. */
function waits(from: number, to: number, asked: readonly Asked[]): Span[] {
  const spans: Span[] = [];
  let at = from;
  for (const each of asked) {
    const [begin, end] = [Math.max(at, each.from), Math.min(to, each.to)];
    if (end < begin) continue;
    if (begin > at) spans.push({ kind: "waited", from: at, to: begin });
    spans.push({ kind: "asked", from: begin, to: end, actor: each.actor, text: each.answer });
    at = end;
  }
  if (to > at) spans.push({ kind: "waited", from: at, to });
  return spans;
}

/** Each try at the stage, and what was waited between them. */
function attempts(stage: StageView, started: number | null, end: number): Span[] {
  const tried = (stage.attempts ?? []).filter((a) => a.started);
  if (tried.length < 2) return started === null ? [] : [{ kind: "ran", from: started, to: end }];
  const spans: Span[] = [];
  tried.forEach((each, at) => {
    const from = Date.parse(each.started ?? "");
    const next = tried[at + 1];
    const until = each.outcome?.ended ? Date.parse(each.outcome.ended) : next ? Date.parse(next.made) : end;
    const before = spans.at(-1);
    if (before && from > before.to) spans.push({ kind: "waited", from: before.to, to: from });
    const text = each.outcome ? each.outcome.message || each.outcome.cause.replaceAll("_", " ") : "";
    spans.push({
      kind: next ? "broken" : "ran",
      from,
      to: Math.max(from, until),
      attempt: each.number,
      text,
    });
  });
  return spans;
}

export interface Range {
  from: number;
  to: number;
}

/** From the first to the last moment of what is shown, and a little beyond; up to now while something is alive. */
export function range(shown: Lane[], now: number): Range {
  const all = shown.flatMap((l) => l.spans);
  const alive = shown.some((l) => ["running", "submitted", "preparing", "queued", "none"].includes(l.state));
  const from = Math.min(...(alive ? [now - 60_000] : []), ...all.map((s) => s.from));
  const to = Math.max(...(alive ? [now] : []), ...all.map((s) => s.to));
  const air = Math.max(5_000, (to - from) * 0.03);
  return { from: from - air / 3, to: to + air };
}

const STEPS = [
  ...[5, 10, 15, 30].map((s) => s * 1_000),
  ...[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map((m) => m * 60_000),
];

/** Round moments of the day, at most `most` of them. */
export function ticks(r: Range, most: number): number[] {
  const step =
    STEPS.find((s) => (r.to - r.from) / s <= most) ??
    7 * 86_400_000 * Math.ceil((r.to - r.from) / (7 * 86_400_000 * most));
  const zone = new Date(r.from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((r.from - zone) / step) * step + zone;
  const found: number[] = [];
  for (let at = first; at < r.to && found.length < 50; at += step) found.push(at);
  return found;
}

/** Where the words beside the spans stand: behind them, before them, or, where neither has room, on the last of them. */
export function beside(lane: Lane, r: Range): "behind" | "before" | "on" {
  const [first, last] = [lane.spans[0], lane.spans.at(-1)];
  if (!first || !last) return "behind";
  const words = last.kind === "expected" ? 12 : Math.min(45, 3 + lane.text.length);
  if (100 - part(last.to, r) >= words) return "behind";
  // when it ends stands in what is expected: before the beginning it would read as the beginning
  if (last.kind === "expected" && part(last.to, r) - part(last.from, r) >= words) return "on";
  return part(first.from, r) >= words ? "before" : "on";
}

export function part(at: number, r: Range): number {
  return (100 * (at - r.from)) / (r.to - r.from);
}
