/** The pipeline as a picture: what has run, what runs, what comes. A click chooses a stage. */
import { useEffect, useMemo, useRef } from "react";
import { clock, duration, percent } from "@/design/format.ts";
import { Mark, type MarkName } from "@/design/Icon.tsx";
import { colour, type State, WORDS } from "@/design/state.tsx";
import { useNow } from "@/design/time.tsx";
import { HEIGHT, layout, WIDTH } from "@/shared/layout.ts";
import { type Gate, numbered, type Project, type StageView, type Step } from "@/shared/project.ts";

const AS: Record<string, State> = { later: "none" };

export function Graph({
  project,
  chosen,
  onChoose,
}: {
  project: Project;
  chosen: string;
  onChoose: (id: string) => void;
}) {
  const steps = project.pipeline.stages;
  const drawn = useMemo(
    () => layout(steps.map((s) => ({ id: s.definition.id, needs: s.definition.needs ?? [] }))),
    [steps],
  );
  const newest = new Map(project.stages.map((s) => [s.number, s]));
  const done = new Set(
    steps.filter((s) => ["succeeded", "skipped"].includes(s.state)).map((s) => s.definition.id),
  );
  const box = useRef<HTMLDivElement>(null);
  const { x = 0, y = 0 } = drawn.nodes.get(chosen) ?? {};
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const at = (x / drawn.width) * element.scrollWidth;
    if (at < element.scrollLeft || at + WIDTH > element.scrollLeft + element.clientWidth)
      element.scrollLeft = at - (element.clientWidth - WIDTH) / 2;
    const down = (y / drawn.height) * element.scrollHeight;
    if (down < element.scrollTop || down + HEIGHT > element.scrollTop + element.clientHeight)
      element.scrollTop = down - (element.clientHeight - HEIGHT) / 2;
  }, [x, y, drawn.width, drawn.height]);
  return (
    <div className="graph-box" ref={box}>
      <svg
        className="graph"
        style={{ width: "100%", maxWidth: drawn.width, minWidth: drawn.width * 0.82 }}
        viewBox={`0 0 ${drawn.width} ${drawn.height}`}
        role="group"
        aria-label="Stages of the pipeline"
      >
        {drawn.edges.map((edge) => (
          <path
            key={`${edge.from}>${edge.to}`}
            className={done.has(edge.from) ? "e on" : "e"}
            d={edge.path}
          />
        ))}
        {steps.map((step) => {
          const at = drawn.nodes.get(step.definition.id);
          if (!at) return null;
          const gate = project.gates.find((g) => g.stage === step.newest && step.state === "waiting");
          return (
            <Node
              key={step.definition.id}
              step={step}
              stage={newest.get(step.newest)}
              gate={gate}
              x={at.x}
              y={at.y}
              chosen={chosen === step.definition.id}
              onChoose={() => onChoose(step.definition.id)}
            />
          );
        })}
      </svg>
    </div>
  );
}

function Node({
  step,
  stage,
  gate,
  x,
  y,
  chosen,
  onChoose,
}: {
  step: Step;
  stage: StageView | undefined;
  gate: Gate | undefined;
  x: number;
  y: number;
  chosen: boolean;
  onChoose: () => void;
}) {
  const now = useNow();
  const state = AS[step.state] ?? (step.state as State);
  const rest = state === "none";
  const name = step.definition.id;
  const word = rest ? waitsFor(step) : stage?.word || WORDS[state];
  const line = rest ? expectation(step, now) : spent(stage, now);
  const progress = stage?.state === "running" ? stage.progress?.percent : null;
  return (
    <g
      role="button"
      tabIndex={0}
      aria-pressed={chosen}
      aria-label={`${name}: ${word}${line ? `, ${line}` : ""}`}
      data-s={rest ? "rest" : colour(state)}
      className={chosen ? "sel" : ""}
      transform={`translate(${x} ${y})`}
      onClick={onChoose}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        onChoose();
      }}
    >
      <rect className="n" width={WIDTH} height={HEIGHT} rx="8" />
      <foreignObject width={WIDTH} height={HEIGHT}>
        <div className="g-node">
          <span className="g-head">
            <span className="mark" data-s={colour(state)}>
              <Mark name={state as MarkName} />
            </span>
            <b className="trunc">{name}</b>
            <span className="m3">{step.newest ? numbered(step.newest) : ""}</span>
          </span>
          <span className="g-word trunc">
            {progress != null
              ? percent(progress)
              : gate || state === "waiting"
                ? "waits for an answer"
                : word}
          </span>
          <span className="trunc m2">{line}</span>
        </div>
      </foreignObject>
      {progress != null ? (
        <>
          <rect x="10" y={HEIGHT - 7} width={WIDTH - 20} height="4" rx="2" fill="var(--wn-run-mid)" />
          <rect
            x="10"
            y={HEIGHT - 7}
            width={((WIDTH - 20) * progress) / 100}
            height="4"
            rx="2"
            fill="var(--wn-run-solid)"
          />
        </>
      ) : null}
      {step.pause_after ? (
        <g data-s="paused" transform={`translate(${WIDTH - 8} ${HEIGHT / 2 - 8})`}>
          <title>Pauses after {name}</title>
          <circle cx="8" cy="8" r="8" fill="var(--wn-ink-solid)" />
          <path
            d="M5.800 5v6M10.200 5v6"
            stroke="var(--wn-surface)"
            strokeWidth="1.800"
            strokeLinecap="round"
          />
        </g>
      ) : null}
    </g>
  );
}

function waitsFor(step: Step): string {
  const needs = step.definition.needs ?? [];
  return needs.length ? `after ${needs.join(", ")}` : "not started";
}

function expectation(step: Step, now: number): string {
  if (step.expected_start) return `about ${clock(Date.parse(step.expected_start), now)}`;
  return step.typical ? `takes about ${duration(step.typical * 1000)}` : "";
}

function spent(stage: StageView | undefined, now: number): string {
  if (!stage) return "";
  const to = stage.ended ? Date.parse(stage.ended) : now;
  const ran = stage.started ? duration(to - Date.parse(stage.started)) : "";
  return [ran, stage.node].filter(Boolean).join(", ");
}
