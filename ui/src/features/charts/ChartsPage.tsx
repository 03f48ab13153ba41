/** Charts over what stages left as CSV files, several executions in one, and results of sweeps. */
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { LineChart } from "@/design/charts/LineChart.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Panel, Skeleton } from "@/design/parts.tsx";
import { type State, StateMark } from "@/design/state.tsx";
import { numbered, useProject } from "@/shared/project.ts";
import { ChartBench, SavedPanel } from "./SavedCharts.tsx";
import { SweepResults } from "./SweepResults.tsx";
import { joined } from "./series.ts";
import "./charts-page.css";

type StageCharts = components["schemas"]["StageCharts"];
type Chart = components["schemas"]["Chart"];

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
          <OneChart
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

function OneChart({ project, chart, stages }: { project: string; chart: Chart; stages: readonly number[] }) {
  const { data, error } = useQuery({
    queryKey: ["project", project, "chart", chart.file, chart.x, chart.y, stages],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/charts/data", {
          params: {
            path: { project },
            query: { stage: [...stages], file: chart.file, x: chart.x, y: chart.y, points: 1000 },
          },
          signal,
        }),
      ),
    enabled: stages.length > 0,
    placeholderData: (old) => old,
    refetchInterval: (query) => (query.state.data?.items.some((i) => !i.complete) ? 5_000 : false),
  });
  const lines = useMemo(() => joined(data?.items ?? []), [data]);
  if (error) return <ProblemNote error={error} />;
  if (!stages.length) return <p className="m2">Choose an execution above.</p>;
  const silent = (data?.items ?? []).filter((i) => !i.series);
  const time = data?.items.find((i) => i.series)?.series?.x_type === "time";
  return (
    <div>
      {lines.x.length ? (
        <LineChart
          label={chart.title || chart.file}
          x={lines.x}
          xLabel={chart.x}
          time={time}
          series={lines.series}
          height={220}
        />
      ) : data ? null : (
        <Skeleton rows={1} height={220} />
      )}
      {silent.map((i) => (
        <p key={i.stage} className="small m2">
          {numbered(i.stage)}: {i.text || `it has no ${chart.file}`}
        </p>
      ))}
    </div>
  );
}
