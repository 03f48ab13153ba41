/** A question to a person, with what helps to decide, answered in place. */
import { type FormEvent, useState } from "react";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Panel } from "@/design/parts.tsx";
import { StateTag } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { useKeys } from "@/shared/keys.ts";
import { type Gate, may, type Project, useCommand } from "@/shared/project.ts";
import { Shown } from "./Shown.tsx";

export function GateCard({ project, gate, first }: { project: Project; gate: Gate; first: boolean }) {
  const command = useCommand(project.id);
  const [values, setValues] = useState<Record<string, string>>({});
  const answers = may(project, "run");
  const stage = project.stages.find((s) => s.number === gate.stage);
  const name = stage?.id ?? "the next stage";
  const answer = (what: "go" | "skip" | "stop", more: object = {}) =>
    command.mutate({ kind: "answer_gate", gate: gate.id, answer: what, values: {}, stage: 0, ...more });
  useKeys(
    "The question",
    first && answers && gate.kind === "confirm"
      ? {
          "1": { does: `Go on with ${name}`, act: () => answer("go") },
          "2": { does: `Skip ${name}`, act: () => answer("skip") },
          "3": { does: "Stop here", act: () => answer("stop") },
        }
      : {},
  );
  return (
    <Panel
      className="gate"
      title={<StateTag state="waiting" word={answers ? "waits for you" : "waits for a person"} />}
      about={
        <>
          since <Ago at={gate.since} />
        </>
      }
    >
      <div className="col gap">
        <p className="question">{gate.question}</p>
        {(gate.show ?? []).map((path) => (
          <Shown key={path} project={project.id} path={path} />
        ))}
        {command.error ? <ProblemNote error={command.error} /> : null}
        {!answers ? null : gate.kind === "values" ? (
          <form
            className="col gap"
            onSubmit={(event: FormEvent) => {
              event.preventDefault();
              answer("go", { values });
            }}
          >
            {(gate.missing ?? []).map((each) => (
              <label key={each} className="field">
                <span className="lbl mono">{each}</span>
                <input
                  className="in mono"
                  required
                  value={values[each] ?? ""}
                  onChange={(event) => setValues({ ...values, [each]: event.target.value })}
                />
                <span className="help">{project.pipeline.parameters[each]?.help}</span>
              </label>
            ))}
            <Button look="primary" type="submit" busy={command.isPending}>
              Go on with {(gate.missing ?? []).length === 1 ? "this value" : "these values"}
            </Button>
          </form>
        ) : gate.kind === "choice" ? (
          <Choice
            project={project}
            gate={gate}
            busy={command.isPending}
            onChoose={(number) => answer("go", { stage: number })}
          />
        ) : (
          <div className="row wrap">
            <Button
              look="primary"
              busy={command.isPending}
              hotkey={first ? "1" : undefined}
              onClick={() => answer("go")}
            >
              {gate.kind === "condition" ? `Run ${name}` : `Go on with ${name}`}
            </Button>
            <Button busy={command.isPending} hotkey={first ? "2" : undefined} onClick={() => answer("skip")}>
              Skip {name}
            </Button>
            {gate.kind === "confirm" ? (
              <Button
                look="danger"
                busy={command.isPending}
                hotkey={first ? "3" : undefined}
                onClick={() => answer("stop")}
              >
                Stop here
              </Button>
            ) : null}
          </div>
        )}
      </div>
    </Panel>
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
  onChoose: (stage: number) => void;
}) {
  const own = project.stages.filter((s) => s.sweep === gate.sweep && s.state === "succeeded");
  const results = [...new Set(own.flatMap((s) => Object.keys(s.results ?? {})))];
  return (
    <div className="scroll-x">
      <table className="tbl">
        <thead>
          <tr>
            <th>Stage</th>
            <th>Values</th>
            {results.map((name) => (
              <th key={name} className="num">
                {name}
              </th>
            ))}
            <th />
          </tr>
        </thead>
        <tbody>
          {own.map((stage) => (
            <tr key={stage.number}>
              <td>{stage.name}</td>
              <td className="mono small">
                {Object.entries(stage.point ?? {})
                  .map(([k, v]) => `${k}=${v}`)
                  .join(" ")}
              </td>
              {results.map((name) => (
                <td key={name} className="num">
                  {String(stage.results?.[name] ?? "–")}
                </td>
              ))}
              <td>
                <Button small busy={busy} onClick={() => onChoose(stage.number)}>
                  Go on with it
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
