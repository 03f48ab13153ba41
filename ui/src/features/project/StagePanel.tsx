/** One execution of a stage, beside the graph: state in words, times, values, results, and what one can do with it. */
import { Link } from "@tanstack/react-router";
import { bytes, clock, count, duration, percent } from "@/design/format.ts";
import { Bar, Button, Panel } from "@/design/parts.tsx";
import { type State, StateTag } from "@/design/state.tsx";
import { Ago, useNow } from "@/design/time.tsx";
import { OpenInNomad } from "@/shared/Nomad.tsx";
import {
  may,
  numbered,
  type Project,
  type StageView,
  type Step,
  sendCommand,
  tellFailure,
  useCommand,
} from "@/shared/project.ts";
import { undoable } from "@/shared/undo.tsx";
import { WhyWaits } from "./WhyWaits.tsx";

/** A stage that was lined up by a person and taken back can be lined up again, as it was. One with a secret in its values cannot:
 *  nobody but the store knows that; and what the pipeline lined up comes again by itself. */
function offerBack(project: string, stage: StageView): void {
  const { id, overrides, comment = "", pause_after = false, held = false } = stage;
  if (stage.automatic || held || stage.sweep || JSON.stringify(overrides ?? {}).includes("***")) return;
  undoable(`${id} ${numbered(stage.number)} was taken back.`, () =>
    sendCommand(project, {
      kind: "enqueue_stage",
      id,
      after: Object.values(stage.inputs ?? {}),
      overrides: overrides ?? {},
      sweep: {},
      sweep_workspace: "",
      max_running: null,
      comment,
      pause_after,
      at_once: false,
      resume: false,
    }),
  );
}

/** Those that wait in line, in their order. */
function line(project: Project): StageView[] {
  return project.stages
    .filter((s) => s.state === "queued")
    .sort((a, b) => a.turn - b.turn || a.number - b.number);
}

/** Whether somebody stands before it. */
function behind(project: Project, stage: StageView): boolean {
  return line(project).findIndex((s) => s.number === stage.number) > 0;
}

function firstOfAll(project: Project, stage: StageView): number[] {
  return [stage.number, ...line(project).flatMap((s) => (s.number === stage.number ? [] : [s.number]))];
}

export function StagePanel({
  project,
  step,
  stage,
}: {
  project: Project;
  step: Step;
  stage: StageView | undefined;
}) {
  const now = useNow();
  const name = step.definition.id;
  const command = useCommand(project.id);
  const run = may(project, "run");
  const failed = tellFailure("Nothing was done");
  const progress = stage?.progress;
  const asked = project.gates.some((gate) => gate.stage === stage?.number);
  // a card of its own beside this panel asks, or tells of the failure: it is not said twice
  const impossible = project.pause?.kind === "impossible" && project.pause.stage === stage?.number;
  const told =
    asked || impossible || project.failures.some((f) => f.stage === stage?.number && !f.acknowledged);
  const known = [stage?.detail, stage?.word, `${stage?.word} ${stage?.detail}`];
  const reason = stage?.reason && !known.includes(stage.reason.text) ? stage.reason.text : "";
  const message = stage?.state !== "succeeded" && stage?.message !== stage?.detail ? stage?.message : "";
  const results = Object.entries(stage?.results ?? {});
  const changed = [...Object.entries(stage?.overrides?.values ?? {}), ...Object.entries(stage?.point ?? {})];
  const params = { project: project.id };
  const image = stage?.attempts?.at(-1)?.image;
  const sweep = project.sweeps.find((s) => s.number === stage?.sweep);
  return (
    <Panel
      title={
        <>
          {name} <span className="m3">{stage ? numbered(stage.number) : ""}</span>
        </>
      }
      about={step.definition.title}
    >
      <div className="col gap">
        <p>
          <StateTag
            state={asked ? "waiting" : ((stage?.state ?? "none") as State)}
            word={`${stage?.word ?? "not started"}${stage?.detail && !told && stage.word !== "waits" ? ":" : ""}`}
          />{" "}
          {told ? null : <span className="m2">{stage?.detail}</span>}
        </p>
        {reason && !told ? <p className="m2">{reason}</p> : null}
        {stage && !told ? <WhyWaits project={project.id} stage={stage} /> : null}
        {message && !told ? <pre className="said">{message}</pre> : null}
        {progress?.percent != null ? (
          <div className="row">
            <Bar used={progress.percent} of={100} />
            <b>{percent(progress.percent)}</b>
          </div>
        ) : null}
        {stage?.preparing?.bytes_total ? (
          <div>
            <Bar used={stage.preparing.bytes_done ?? 0} of={stage.preparing.bytes_total} kind="rest" />
            <span className="small m2">
              copying the workspace, {bytes(stage.preparing.bytes_done ?? 0)} of{" "}
              {bytes(stage.preparing.bytes_total)}
            </span>
          </div>
        ) : null}
        <dl className="kv">
          {stage?.node ? (
            <>
              <dt>Node</dt>
              <dd>{stage.node}</dd>
            </>
          ) : null}
          {stage?.started ? (
            <>
              <dt>{stage.ended ? "Ran" : "Runs"}</dt>
              <dd>
                {duration((stage.ended ? Date.parse(stage.ended) : now) - Date.parse(stage.started))}, since{" "}
                {clock(Date.parse(stage.started), now)}
              </dd>
            </>
          ) : null}
          {stage?.waited ? (
            <>
              <dt>Waited</dt>
              <dd>{duration(stage.waited * 1000)}</dd>
            </>
          ) : null}
          {stage?.expected ? (
            <>
              <dt>Likely done</dt>
              <dd>about {clock(Date.parse(stage.expected), now)}</dd>
            </>
          ) : null}
          {!stage && step.typical ? (
            <>
              <dt>Takes</dt>
              <dd>about {duration(step.typical * 1000)}</dd>
            </>
          ) : null}
          {(stage?.attempt ?? 0) > 1 ? (
            <>
              <dt>Attempt</dt>
              <dd>{stage?.attempt}</dd>
            </>
          ) : null}
          {image ? (
            <>
              <dt>Image</dt>
              <dd className="mono" title={image.digest}>
                {image.name}
              </dd>
            </>
          ) : null}
          {stage?.redo_of ? (
            <>
              <dt>Redo of</dt>
              <dd>
                {numbered(stage.redo_of)}
                {stage.actor ? ` by ${stage.actor}` : ""}
              </dd>
            </>
          ) : null}
          {changed.map(([key, value]) => (
            <div key={key} className="contents">
              <dt className="mono">{key}</dt>
              <dd className="mono">{String(value)}</dd>
            </div>
          ))}
          {stage?.ended ? (
            <>
              <dt>Ended</dt>
              <dd>
                <Ago at={stage.ended} />
              </dd>
            </>
          ) : null}
        </dl>
        {results.length ? (
          <table className="tbl res">
            <tbody>
              {results.map(([key, value]) => (
                <tr key={key}>
                  <td>{key}</td>
                  <td className="num">{typeof value === "number" ? count(value) : String(value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : null}
        <div className="row wrap">
          {stage?.attempt ? (
            <>
              <Link
                className="btn sm"
                to="/projects/$project/logs"
                params={params}
                search={{ stage: stage.number }}
              >
                Log
              </Link>
              <Link
                className="btn sm"
                to="/projects/$project/files"
                params={params}
                search={{ path: `stages/${stage.name}/output` }}
              >
                Files
              </Link>
              {project.driver === "nomad" ? (
                <OpenInNomad
                  href={`/api/v1/projects/${encodeURIComponent(project.id)}/stages/${stage.number}/nomad`}
                />
              ) : null}
            </>
          ) : null}
          {run && stage && !told && ["succeeded", "failed", "stopped", "skipped"].includes(stage.state) ? (
            <Link
              className="btn sm"
              to="/projects/$project/run"
              params={params}
              search={{ redo: stage.number }}
            >
              Redo {name}…
            </Link>
          ) : null}
          {run && !stage ? (
            <Link className="btn sm" to="/projects/$project/run" params={params} search={{ stage: name }}>
              Run {name}…
            </Link>
          ) : null}
          {run && stage?.state === "queued" ? (
            <>
              <Link
                className="btn sm"
                to="/projects/$project/run"
                params={params}
                search={{ change: stage.number }}
              >
                Change…
              </Link>
              {behind(project, stage) ? (
                <Button
                  small
                  busy={command.isPending}
                  title="Before all others of this project that wait in line"
                  onClick={() =>
                    command.mutate(
                      { kind: "reorder", stages: firstOfAll(project, stage) },
                      { onError: failed },
                    )
                  }
                >
                  First in line
                </Button>
              ) : null}
              {asked || impossible ? null : (
                <Button
                  small
                  busy={command.isPending}
                  onClick={() =>
                    command.mutate({ kind: "skip_stage", stage: stage.number }, { onError: failed })
                  }
                >
                  Skip it
                </Button>
              )}
              <Button
                small
                busy={command.isPending}
                onClick={() =>
                  command.mutate(
                    { kind: "remove_queued", stage: stage.number },
                    { onError: failed, onSuccess: () => offerBack(project.id, stage) },
                  )
                }
              >
                Take it back
              </Button>
            </>
          ) : null}
          {run && sweep && !sweep.halted && (sweep.open > 0 || sweep.next < sweep.total) ? (
            <Button
              small
              look="danger"
              busy={command.isPending}
              title="What runs of it is stopped, and no more of it is made; what has ended stays"
              onClick={() =>
                command.mutate(
                  { kind: "stop_sweep", sweep: sweep.number, running: true },
                  { onError: failed },
                )
              }
            >
              Stop the sweep
            </Button>
          ) : null}
          {run && stage && ["preparing", "submitted", "running"].includes(stage.state) ? (
            <Button
              small
              look="danger"
              busy={command.isPending}
              onClick={() =>
                command.mutate(
                  { kind: "stop_stage", stage: stage.number, kill: stage.stop === "terminate" },
                  { onError: failed },
                )
              }
            >
              {stage.stop === "terminate" ? `Kill ${name}` : `Stop ${name}`}
            </Button>
          ) : null}
          {run && (!stage || !["succeeded", "failed", "stopped", "skipped"].includes(stage.state)) ? (
            <Button
              small
              aria-pressed={step.pause_after}
              busy={command.isPending}
              onClick={() =>
                command.mutate({ kind: "pause_after", id: name, on: !step.pause_after }, { onError: failed })
              }
            >
              {step.pause_after ? `Will pause after ${name}` : `Pause after ${name}`}
            </Button>
          ) : null}
        </div>
      </div>
    </Panel>
  );
}
