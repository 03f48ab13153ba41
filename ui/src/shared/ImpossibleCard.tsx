/** No node can ever take what comes next: what it asks for, and the ways on. */
import { Link } from "@tanstack/react-router";
import { Button, Panel } from "@/design/parts.tsx";
import { StateTag } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { asksFor, whyNot } from "./impossible.ts";
import { may, type Project, tellFailure, useCommand } from "./project.ts";
import "./asks.css";

export function ImpossibleCard({ project }: { project: Project }) {
  const command = useCommand(project.id);
  const pause = project.pause;
  if (pause?.kind !== "impossible") return null;
  const stage = project.stages.find((s) => s.number === pause.stage);
  const wanted =
    stage?.overrides?.resources ??
    project.pipeline.stages.find((s) => s.definition.id === stage?.id)?.definition.resources;
  // what has a code of its own is not about machines
  const machine = !pause.code && wanted ? asksFor(wanted) : "";
  const queued = stage?.state === "queued" ? stage : undefined;
  return (
    <Panel
      className="fail"
      title={<StateTag state="paused-failure" word={`${stage?.id ?? "It"} cannot start`} />}
      about={<Ago at={pause.since} />}
    >
      <div className="col gap">
        <p>{whyNot(pause.text)}</p>
        {machine ? (
          <p className="m2">It asks for {machine}. It starts by itself as soon as a node has that.</p>
        ) : null}
        <div className="row wrap">
          {queued && may(project, "run") ? (
            <>
              <Link
                className="btn primary sm"
                to="/projects/$project/run"
                params={{ project: project.id }}
                search={{ change: queued.number }}
              >
                Change {queued.id}…
              </Link>
              <Button
                small
                busy={command.isPending}
                onClick={() =>
                  command.mutate(
                    { kind: "skip_stage", stage: queued.number },
                    { onError: tellFailure(`${queued.id} was not skipped`) },
                  )
                }
              >
                Skip it
              </Button>
            </>
          ) : null}
          <Link className="btn ghost sm" to="/nodes">
            Nodes
          </Link>
        </div>
      </div>
    </Panel>
  );
}
