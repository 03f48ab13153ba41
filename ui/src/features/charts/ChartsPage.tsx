/** Charts over what stages left as CSV files, several executions in one, and results of sweeps. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Panel, Skeleton } from "@/design/parts.tsx";
import { type State, StateMark } from "@/design/state.tsx";
import { numbered, useProject } from "@/shared/project.ts";
import { StageChart } from "@/shared/StageChart.tsx";
import { ChartBench, SavedPanel } from "./SavedCharts.tsx";
import { SweepResults } from "./SweepResults.tsx";
import "./charts-page.css";

type StageCharts = components["schemas"]["StageCharts"];

export function ChartsPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const charts = useQuery({
    queryKey: ["project", id, "charts", project?.version ?? 0],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/charts", { params: { path: { project: id } }, signal })),
    placeholderData: (old) => old,
  });
  const [making, setMaking] = useState(false);
  if (!project) return null;
  const { saved = [], pipeline = "", may_save: maySave = false } = charts.data ?? {};
  const sweeps = project.sweeps.filter((s) => s.succeeded > 1);
  return (
    <div className="page charts-page">
      {charts.error ? <ProblemPage error={charts.error} again={() => void charts.refetch()} /> : null}
      {!charts.data && !charts.error ? <Skeleton rows={3} height={200} /> : null}
      {charts.data &&
      !charts.data.items.some((s) => s.executions.length) &&
      !sweeps.length &&
      !saved.length &&
      !making ? (
        <Empty icon="chart" title="Nothing to draw yet">
          Stages whose definition names <code>charts</code> show their CSV files here.
        </Empty>
      ) : null}
      {making ? (
        <ChartBench
          project={project}
          pipeline={pipeline}
          maySave={maySave}
          onClose={() => setMaking(false)}
        />
      ) : (
        <div className="row">
          <span className="grow" />
          <Button icon="plus" onClick={() => setMaking(true)}>
            New chart…
          </Button>
        </div>
      )}
      {saved.map((chart) => (
        <SavedPanel key={chart.id} project={project} chart={chart} pipeline={pipeline} maySave={maySave} />
      ))}
      {sweeps.map((sweep) => (
        <SweepResults
          key={sweep.number}
          project={project}
          sweep={sweep.number}
          id={sweep.id}
          pipeline={pipeline}
          maySave={maySave}
        />
      ))}
      {(charts.data?.items ?? []).map((stage) =>
        stage.executions.length ? <OfStage key={stage.id} project={id} stage={stage} /> : null,
      )}
    </div>
  );
}

function OfStage({ project, stage }: { project: string; stage: StageCharts }) {
  const [chosen, setChosen] = useState<readonly number[]>(stage.executions.slice(0, 1).map((e) => e.stage));
  return (
    <Panel
      title={stage.title || stage.id}
      about={
        <span className="row wrap">
          {stage.executions.slice(0, 12).map((execution) => (
            <label key={execution.stage} className="chip" data-s={execution.state}>
              <input
                type="checkbox"
                checked={chosen.includes(execution.stage)}
                onChange={(event) =>
                  setChosen((old) =>
                    event.target.checked
                      ? [...old, execution.stage]
                      : old.filter((n) => n !== execution.stage),
                  )
                }
              />
              <StateMark state={execution.state as State} /> {numbered(execution.stage)}
            </label>
          ))}
        </span>
      }
    >
      <div className="chart-grid">
        {stage.charts.map((chart) => (
          <StageChart
            key={`${chart.file}-${chart.x}-${chart.y.join()}`}
            project={project}
            chart={chart}
            stages={chosen}
          />
        ))}
      </div>
    </Panel>
  );
}
