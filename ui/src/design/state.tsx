/** The one table of states: shape, word and colour. Every screen shows a state through here. */
import type { ReactNode } from "react";
import { percent } from "./format.ts";
import { Mark, type MarkName } from "./Icon.tsx";

export type State =
  | "queued"
  | "preparing"
  | "submitted"
  | "running"
  | "succeeded"
  | "failed"
  | "stopped"
  | "skipped"
  | "waiting"
  | "paused"
  | "paused-failure"
  | "idle"
  | "none"
  | "gate"
  | "passed"
  | "ready"
  | "draining"
  | "cutoff"
  | "down";

const MARKS: Record<State, MarkName> = {
  queued: "queued",
  preparing: "preparing",
  submitted: "submitted",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  stopped: "stopped",
  skipped: "skipped",
  waiting: "waiting",
  paused: "paused",
  "paused-failure": "paused",
  idle: "idle",
  none: "none",
  gate: "gate",
  passed: "passed",
  ready: "ready",
  draining: "draining",
  cutoff: "cutoff",
  down: "down",
};

export const WORDS: Record<State, string> = {
  queued: "queued",
  preparing: "preparing",
  submitted: "waits",
  running: "running",
  succeeded: "succeeded",
  failed: "failed",
  stopped: "stopped",
  skipped: "skipped",
  waiting: "waits for you",
  paused: "paused",
  "paused-failure": "paused by a failure",
  idle: "idle",
  none: "not started",
  gate: "a question",
  passed: "answered",
  ready: "ready",
  draining: "draining",
  cutoff: "cut off, working",
  down: "down",
};

/** `data-s` gives the colour; "passed" is green like "succeeded". */
export function colour(state: State): string {
  return state === "passed" ? "succeeded" : state;
}

export function StateMark({ state, label }: { state: State; label?: string }) {
  return (
    <span data-s={colour(state)} className="mark">
      <Mark name={MARKS[state]} label={label} />
    </span>
  );
}

export function StateTag({ state, word, soft }: { state: State; word?: ReactNode; soft?: boolean }) {
  return (
    <span className={soft ? "state soft" : "state"} data-s={colour(state)}>
      <Mark name={MARKS[state]} />
      {word ?? WORDS[state]}
    </span>
  );
}

export interface StripStage {
  name: string;
  state: State;
  /** The one that counts now is drawn open, with its name. */
  now?: boolean;
  percent?: number | null;
}

const MARKS_SHOWN = 8;

interface Cell extends StripStage {
  /** how many of the same kind stand behind one mark */
  times: number;
}

/** Of a long pipeline those that follow each other in one state become one mark with their number. */
export function gathered(stages: readonly StripStage[]): Cell[] {
  const cells: Cell[] = [];
  for (const stage of stages) {
    const last = cells.at(-1);
    if (stages.length > MARKS_SHOWN && last && !last.now && !stage.now && last.state === stage.state)
      last.times += 1;
    else cells.push({ ...stage, times: 1 });
  }
  return cells;
}

/** A pipeline in one line: a mark per stage, and the one that counts now with name and progress. */
export function StageStrip({ stages }: { stages: StripStage[] }) {
  const text = stages.map((s) => `${s.name} ${WORDS[s.state]}`).join(", ");
  return (
    <ol className="strip" aria-label={text}>
      {gathered(stages).map((stage, at) => (
        <li
          // biome-ignore lint/suspicious/noArrayIndexKey: a strip that is drawn anew in a list keeps its marks
          key={at}
          data-s={colour(stage.state)}
          title={
            stage.times > 1
              ? `${stage.times} stages: ${WORDS[stage.state]}`
              : `${stage.name}: ${WORDS[stage.state]}`
          }
        >
          {stage.now ? (
            <span
              className={
                stage.state === "submitted" || stage.state === "queued" ? "seg-now hatch" : "seg-now"
              }
              style={{ "--p": `${stage.percent ?? 0}%` } as React.CSSProperties}
            >
              <Mark name={MARKS[stage.state]} />
              <span className="trunc">{stage.name}</span>
              {stage.percent == null ? null : <b>{percent(stage.percent)}</b>}
            </span>
          ) : (
            <>
              <Mark name={MARKS[stage.state]} />
              {stage.times > 1 ? <small>{stage.times}</small> : null}
            </>
          )}
        </li>
      ))}
    </ol>
  );
}
