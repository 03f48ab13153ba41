/** A question to a person: what helps to decide at the left, the answers at the right, answered in place. */
import { Link } from "@tanstack/react-router";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { count } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Panel, Skeleton } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { StateTag } from "@/design/state.tsx";
import { Took } from "@/design/time.tsx";
import { useKeys } from "@/shared/keys.ts";
import { type Gate, may, numbered, type Project, useCommand } from "@/shared/project.ts";
import { chartsOf } from "./drawn.ts";
import { kindOf } from "./files.ts";
import { Shown } from "./Shown.tsx";
import "./asks.css";

const StageChart = lazy(() => import("./StageChart.tsx").then((m) => ({ default: m.StageChart })));
const COMPARED = 8; // side by side, before it becomes a carpet
const DRAWN = 280; // px of a chart with its title and legend

type Answer = (what: "go" | "skip" | "stop", more?: object) => void;

/** `first`: its answers have keys. */
export function GateCard({ project, gate, first }: { project: Project; gate: Gate; first: boolean }) {
  const command = useCommand(project.id);
  const answers = may(project, "run");
  const stage = project.stages.find((s) => s.number === gate.stage);
  const show = gate.show ?? [];
  const answer: Answer = (what, more = {}) =>
    command.mutate({ kind: "answer_gate", gate: gate.id, answer: what, values: {}, stage: 0, ...more });
  return (
    <Panel
      className="gate"
      title={<StateTag state="waiting" word={answers ? "waits for you" : "waits for a person"} />}
      about={
        <>
          for <Took from={gate.since} />
        </>
      }
    >
      <div
        className={
          gate.kind !== "confirm" && gate.kind !== "condition"
            ? "gate-parts bare"
            : show.length
              ? "gate-parts"
              : "gate-parts bare brief"
        }
      >
        <div className="col gap">
          <p className="question">{gate.question}</p>
          {show.length ? (
            <div className="gate-shown">
              {show.map((path) => (
                <div key={path} className={["image", "video", "page"].includes(kindOf(path)) ? "wide" : ""}>
                  <ShownOrDrawn project={project} path={path} />
                </div>
              ))}
            </div>
          ) : null}
          {gate.kind === "choice" ? (
            <Choice
              project={project}
              gate={gate}
              busy={command.isPending}
              onChoose={answers ? (number) => answer("go", { stage: number }) : undefined}
            />
          ) : null}
          {answers && gate.kind === "values" ? (
            <Values project={project} gate={gate} busy={command.isPending} answer={answer} />
          ) : null}
          {command.error && gate.kind !== "confirm" && gate.kind !== "condition" ? (
            <ProblemNote error={command.error} />
          ) : null}
        </div>
        {answers && (gate.kind === "confirm" || gate.kind === "condition") ? (
          <Decide
            project={project}
            gate={gate}
            stage={stage}
            keys={first}
            busy={command.isPending}
            error={command.error}
            answer={answer}
          />
        ) : null}
      </div>
    </Panel>
  );
}

/** A table of which the pipeline has a chart is drawn: who decides looks at it, and can still read it. */
function ShownOrDrawn({ project, path }: { project: Project; path: string }) {
  const drawn = chartsOf(project.pipeline.stages, path);
  if (!drawn) return <Shown project={project.id} path={path} />;
  return (
    <Suspense fallback={<Skeleton rows={1} height={DRAWN} />}>
      {drawn.charts.map((chart) => (
        <StageChart
          key={`${chart.file}/${chart.x}/${chart.y.join()}`}
          project={project.id}
          chart={chart}
          stages={[drawn.stage]}
        />
      ))}
    </Suspense>
  );
}

function Decide({
  project,
  gate,
  stage,
  keys,
  busy,
  error,
  answer,
}: {
  project: Project;
  gate: Gate;
  stage: Project["stages"][number] | undefined;
  keys: boolean;
  busy: boolean;
  error: unknown;
  answer: Answer;
}) {
  const name = stage?.id ?? "the next stage";
  const confirm = gate.kind === "confirm";
  // once for each press: a key that is held must not answer the next question too
  const once = (what: Parameters<Answer>[0]) => (event?: KeyboardEvent) => {
    if (!busy && !event?.repeat) answer(what);
  };
  useKeys(
    "The question",
    keys && confirm
      ? {
          "1": { does: `Go on with ${name}`, act: once("go") },
          "2": { does: `Skip ${name}`, act: once("skip") },
          "3": { does: "Stop here", act: once("stop") },
        }
      : {},
  );
  const before = Object.entries(stage?.inputs ?? {});
  return (
    <section className="gate-answer" aria-label="Your answer">
      <h3>Your answer</h3>
      {error ? <ProblemNote error={error} /> : null}
      <Button
        look={keys ? "primary" : "plain"}
        className="answer"
        busy={busy}
        hotkey={keys ? "1" : undefined}
        onClick={() => answer("go")}
      >
        {confirm ? `Go on with ${name}` : `Run ${name}`}
      </Button>
      <div className="others">
        <Button
          className="answer"
          busy={busy}
          hotkey={keys ? "2" : undefined}
          title={`${name} does not run; what follows it goes on`}
          onClick={() => answer("skip")}
        >
          Skip {name}
        </Button>
        {confirm ? (
          <Button
            look="danger"
            className="answer"
            busy={busy}
            hotkey={keys ? "3" : undefined}
            title="Nothing more runs. Everything is kept, and it can be gone on with later"
            onClick={() => answer("stop")}
          >
            Stop here
          </Button>
        ) : null}
      </div>
      {before.length ? (
        <div className="redo col gap">
          <p className="small m2">
            Not good enough? Redo a stage before it with another value; you are asked again.
          </p>
          <div className="row wrap">
            {before.map(([id, number]) => (
              <Link
                key={id}
                className="btn sm"
                to="/projects/$project/run"
                params={{ project: project.id }}
                search={{ redo: number }}
              >
                Redo {id}…
              </Link>
            ))}
          </div>
        </div>
      ) : null}
    </section>
  );
}

function Values({
  project,
  gate,
  busy,
  answer,
}: {
  project: Project;
  gate: Gate;
  busy: boolean;
  answer: Answer;
}) {
  const [values, setValues] = useState<Record<string, string>>({});
  const missing = gate.missing ?? [];
  return (
    <form
      className="col gap gate-values"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        answer("go", { values });
      }}
    >
      {missing.map((each) => {
        const parameter = project.pipeline.parameters[each];
        return (
          <label key={each} className="field">
            <span className="lbl">
              {parameter?.title ? `${parameter.title} ` : ""}
              <code>{each}</code>
            </span>
            <input
              className="in mono"
              required
              value={values[each] ?? ""}
              onChange={(event) => setValues({ ...values, [each]: event.target.value })}
            />
            <span className="help">{parameter?.help}</span>
          </label>
        );
      })}
      <div>
        <Button look="primary" type="submit" busy={busy}>
          Go on with {missing.length === 1 ? "this value" : "these values"}
        </Button>
      </div>
    </form>
  );
}

function Choice({
  project,
  gate,
  busy,
  onChoose,
}: {
  project: Project;
  gate: Gate;
  busy: boolean;
  onChoose: ((stage: number) => void) | undefined;
}) {
  const own = project.stages.filter((s) => s.sweep === gate.sweep && s.state === "succeeded").reverse();
  const results = [...new Set(own.flatMap((s) => Object.keys(s.results ?? {})))];
  return (
    <>
      {own.length > 1 ? (
        <p className="row wrap">
          <Link
            className="btn sm"
            to="/projects/$project/compare"
            params={{ project: project.id }}
            search={{
              stages: own
                .slice(0, COMPARED)
                .map((s) => s.number)
                .join(","),
            }}
          >
            Compare {own.length > COMPARED ? `the first ${COMPARED}` : `all ${count(own.length)}`} side by
            side
          </Link>
          <Link className="btn sm" to="/projects/$project/charts" params={{ project: project.id }}>
            Draw the results
          </Link>
        </p>
      ) : null}
      <div ref={sideways} className="scroll-x of-sweep-box">
        <table className="tbl of-sweep">
          <thead>
            <tr>
              <th>Stage</th>
              <th>Values</th>
              {results.map((name) => (
                <th key={name} className="num">
                  {name}
                </th>
              ))}
              <th>
                <span className="vh">Answer</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {own.map((stage) => (
              <tr key={stage.number}>
                <td className="nowrap">
                  {stage.id} <span className="m3">{numbered(stage.number)}</span>
                </td>
                <td className="mono small">
                  {Object.entries(stage.point ?? {})
                    .map(([k, v]) => `${k}=${v}`)
                    .join(" ")}
                </td>
                {results.map((name) => (
                  <td key={name} className="num">
                    {shown(stage.results?.[name])}
                  </td>
                ))}
                <td>
                  {onChoose ? (
                    <Button small busy={busy} onClick={() => onChoose(stage.number)}>
                      Go on with {numbered(stage.number)}
                    </Button>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function shown(value: number | boolean | string | undefined): string {
  return typeof value === "number" ? count(value) : String(value ?? "–");
}
