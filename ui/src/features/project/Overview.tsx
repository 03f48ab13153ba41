/** What a project is about now: who has to act, where it stands, since when, and what it says. */
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { plural } from "@/design/format.ts";
import { Button, Panel } from "@/design/parts.tsx";
import { Failures } from "@/shared/Failures.tsx";
import { GateCard } from "@/shared/GateCard.tsx";
import { ImpossibleCard } from "@/shared/ImpossibleCard.tsx";
import { type Project, useProject } from "@/shared/project.ts";
import { Graph } from "./Graph.tsx";
import { LogTail } from "./LogTail.tsx";
import { Made } from "./Made.tsx";
import { Meters } from "./Meters.tsx";
import { StagePanel } from "./StagePanel.tsx";
import { Timeline } from "./Timeline.tsx";

const GATES = 3; // shown at once

export function Overview() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const [chosen, setChosen] = useState("");
  const [every, setEvery] = useState(false);
  if (!project) return null;
  const about = chosen || subject(project);
  const step = project.pipeline.stages.find((s) => s.definition.id === about);
  const stage = project.stages.find((s) => s.number === step?.newest);
  const logged = stage?.attempt ? stage : project.stages.find((s) => (s.attempt ?? 0) > 0);
  const choose = (number: number) => setChosen(project.stages.find((s) => s.number === number)?.id ?? "");
  const troubled = project.pause?.kind === "impossible" || project.failures.some((f) => !f.acknowledged);
  return (
    <div className={troubled ? "grid2 troubled" : "grid2"}>
      {project.gates.length ? (
        <div className="asks">
          {(every ? project.gates : project.gates.slice(0, GATES)).map((gate, at) => (
            <GateCard key={gate.id} project={project} gate={gate} first={at === 0} />
          ))}
          {project.gates.length > GATES && !every ? (
            <Button className="many" onClick={() => setEvery(true)}>
              {plural(project.gates.length - GATES, "more question")}:{" "}
              {project.gates
                .slice(GATES)
                .map((gate) => gate.question)
                .join(" ")}
            </Button>
          ) : null}
        </div>
      ) : null}
      <div>
        <Panel title="Stages" about="click a stage to see or redo it">
          <Graph project={project} chosen={about} onChoose={setChosen} />
        </Panel>
        {stage?.state === "succeeded" ? <Made key={stage.number} project={id} stage={stage} /> : null}
        <Panel title="Timeline" about={<Key />}>
          <Timeline project={project} onChoose={choose} />
        </Panel>
        {logged ? <LogTail key={`${logged.number}/${logged.attempt}`} project={id} stage={logged} /> : null}
      </div>
      <div>
        <ImpossibleCard project={project} />
        <Failures project={project} />
        {step && stage?.state === "running" ? <Meters project={project} step={step} stage={stage} /> : null}
        {step ? <StagePanel project={project} step={step} stage={stage} /> : null}
      </div>
    </div>
  );
}

function Key() {
  return (
    <span className="row key">
      <span className="hatch" />
      waiting
      <span className="dashed" />
      expected
    </span>
  );
}

/** What the page is about when nobody has chosen: what asks, failed, runs, comes next, or was last. */
function subject(project: Project): string {
  const named = (number: number | undefined) => project.stages.find((s) => s.number === number)?.id;
  const steps = project.pipeline.stages;
  const with_ = (state: string) => steps.find((s) => s.state === state)?.definition.id;
  return (
    named(project.gates[0]?.stage || undefined) ??
    named(project.failures.find((f) => !f.acknowledged)?.stage) ??
    named(project.pause?.kind === "impossible" ? project.pause.stage : undefined) ??
    with_("running") ??
    with_("submitted") ??
    with_("preparing") ??
    with_("queued") ??
    steps.findLast((s) => s.newest > 0)?.definition.id ??
    steps[0]?.definition.id ??
    ""
  );
}
