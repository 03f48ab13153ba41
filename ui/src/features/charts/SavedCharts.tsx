/** Charts that are kept with the pipeline, drawn of what has run in this project; and a bench for making one. */
import { useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useMemo, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { LineChart } from "@/design/charts/LineChart.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note, Panel, Skeleton } from "@/design/parts.tsx";
import { type State, StateMark } from "@/design/state.tsx";
import { numbered, type Project, type StageView } from "@/shared/project.ts";
import { bestOf, joined, numberOf, placeOf, varied } from "@/shared/series.ts";
import { type ChartBody, SaveChart } from "./SaveChart.tsx";

type Saved = components["schemas"]["SavedChart"];
type Source = ChartBody["sources"][number];
const AT_ONCE = 5; // executions drawn unless somebody chooses others

export function SavedPanel({
  project,
  chart,
  pipeline,
  maySave,
}: {
  project: Project;
  chart: Saved;
  pipeline: string;
  maySave: boolean;
}) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      taken(
        api.DELETE("/api/v1/pipelines/{name}/charts/{chart}", {
          params: { path: { name: pipeline, chart: chart.id } },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ["project"] }),
  });
  const [sure, setSure] = useState(false);
  return (
    <Panel
      title={chart.title}
      about={`kept with ${pipeline} by ${chart.author}`}
      actions={
        maySave ? (
          sure ? (
            <>
              <Button small look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
                Delete it in every project
              </Button>
              <Button small onClick={() => setSure(false)}>
                Keep it
              </Button>
            </>
          ) : (
            <Button small look="ghost" icon="trash" onClick={() => setSure(true)}>
              Delete…
            </Button>
          )
        ) : null
      }
    >
      {remove.error ? <ProblemNote error={remove.error} /> : null}
      <Drawn project={project} chart={chart as ChartBody} />
    </Panel>
  );
}

function ranOf(project: Project, id: string): StageView[] {
  return project.stages.filter((s) => s.id === id && s.attempt > 0).sort((a, b) => b.number - a.number);
}

/** The newest execution, or all of the newest sweep. */
function usual(stages: readonly StageView[]): number[] {
  const [newest] = stages;
  if (!newest) return [];
  const together = newest.sweep ? stages.filter((s) => s.sweep === newest.sweep) : [newest];
  return together.slice(0, AT_ONCE).map((s) => s.number);
}

export function Drawn({ project, chart }: { project: Project; chart: ChartBody }) {
  const ids = [...new Set(chart.sources.map((s) => s.stage))];
  const ran = ids.flatMap((id) => ranOf(project, id));
  const [picked, setPicked] = useState<readonly number[] | null>(null);
  const files = chart.sources.filter((s) => s.file);
  const chosen = picked ?? ids.flatMap((id) => usual(ranOf(project, id)));
  if (!ran.length)
    return (
      <p className="m2">
        {ids.join(" and ")} {ids.length > 1 ? "have" : "has"} not run in this project yet.
      </p>
    );
  return (
    <>
      {files.length ? (
        <fieldset className="row wrap executions">
          <legend className="vh">Executions</legend>
          {ran.slice(0, 24).map((stage) => (
            <label key={stage.number} className="chip" data-s={stage.state}>
              <input
                type="checkbox"
                checked={chosen.includes(stage.number)}
                onChange={(event) =>
                  setPicked(
                    event.target.checked
                      ? [...chosen, stage.number]
                      : chosen.filter((n) => n !== stage.number),
                  )
                }
              />
              <StateMark state={stage.state as State} /> {stage.id} {numbered(stage.number)}
            </label>
          ))}
        </fieldset>
      ) : null}
      {files.length ? <OfFiles project={project} chart={chart} ran={ran} chosen={chosen} /> : null}
      {files.length < chart.sources.length ? <OfResults chart={chart} ran={ran} /> : null}
    </>
  );
}

function OfFiles({
  project,
  chart,
  ran,
  chosen,
}: {
  project: Project;
  chart: ChartBody;
  ran: StageView[];
  chosen: readonly number[];
}) {
  const sources = chart.sources.filter((s) => s.file && s.y.length);
  const asked = sources
    .map((source) => ({
      source,
      stages: ran.filter((s) => s.id === source.stage && chosen.includes(s.number)).map((s) => s.number),
    }))
    .filter((a) => a.stages.length);
  const found = useQueries({
    queries: asked.map(({ source, stages }) => ({
      queryKey: ["project", project.id, "chart", source.file, source.x, source.y, stages],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        taken(
          api.GET("/api/v1/projects/{project}/charts/data", {
            params: {
              path: { project: project.id },
              query: { stage: stages, file: source.file, x: source.x, y: [...source.y], points: 1000 },
            },
            signal,
          }),
        ),
    })),
  });
  const items = useMemo(() => found.flatMap((q) => q.data?.items ?? []), [found]);
  const drawn = useMemo(() => joined(items), [items]);
  const error = found.find((q) => q.error)?.error;
  if (error) return <ProblemNote error={error} />;
  if (!asked.length) return <p className="m2">Choose an execution above.</p>;
  const waits = found.some((q) => q.isPending);
  const first = items.find((i) => i.series)?.series;
  return (
    <>
      {drawn.x.length ? (
        <LineChart
          label={chart.title || "Preview"}
          x={drawn.x}
          xLabel={first?.x_name ?? ""}
          time={first?.x_type === "time"}
          series={drawn.series}
          points={chart.look === "points"}
          height={260}
        />
      ) : waits ? (
        <Skeleton rows={1} height={260} />
      ) : null}
      {items
        .filter((i) => !i.series)
        .map((i) => (
          <p key={`${i.stage}-${i.text}`} className="small m2">
            {i.id} {numbered(i.stage)}: {i.text || "there is nothing to draw"}
          </p>
        ))}
    </>
  );
}

function OfResults({ chart, ran }: { chart: ChartBody; ran: StageView[] }) {
  const drawn = chart.sources.filter((s) => !s.file && s.y.length);
  const ended = ran.filter((s) => s.state === "succeeded");
  return drawn.map((source) => {
    const own = ended.filter((s) => s.id === source.stage);
    const lines = varied(own, source.x, source.y);
    const best = chart.best ? bestOf(own, source.y[0] ?? "", chart.best) : null;
    const [x, y] = best
      ? [placeOf(best, source.x), numberOf(best.results?.[source.y[0] ?? ""])]
      : [null, null];
    return lines.x.length ? (
      <LineChart
        key={`${source.stage}-${source.y.join()}`}
        label={best ? `${chart.title}; best: ${numbered(best.number)}` : chart.title}
        x={lines.x}
        xLabel={source.x || "number of the stage"}
        series={lines.series}
        points={chart.look === "points"}
        best={x !== null && y !== null ? { x, y } : null}
        height={260}
      />
    ) : (
      <p key={source.stage} className="m2">
        No execution of {source.stage} has {source.y.join(" or ")} as a number
        {source.x ? ` together with ${source.x}` : ""}.
      </p>
    );
  });
}

const EMPTY: Source = { stage: "", file: "", x: "", y: [] };

/** A chart of one's own, seen while it is made. */
export function ChartBench({
  project,
  pipeline,
  maySave,
  onClose,
}: {
  project: Project;
  pipeline: string;
  maySave: boolean;
  onClose: () => void;
}) {
  const ids = [...new Set(project.stages.filter((s) => s.attempt > 0).map((s) => s.id))];
  const [chart, setChart] = useState<ChartBody>({
    title: "",
    look: "lines",
    best: "",
    sources: [{ ...EMPTY, stage: ids[0] ?? "" }],
  });
  const title = useId();
  const change = (at: number, source: Source) =>
    setChart({ ...chart, sources: chart.sources.map((s, i) => (i === at ? source : s)) });
  if (!ids.length) return <Note>A chart is made of what stages have left, and none has run yet.</Note>;
  return (
    <Panel
      title="A new chart"
      about="over files and results of stages"
      actions={<Button small look="ghost" icon="x" aria-label="Close" onClick={onClose} />}
    >
      <div className="chart-bench">
        <div className="col">
          <div className="field">
            <label htmlFor={title}>Title</label>
            <input
              id={title}
              className="in"
              value={chart.title}
              maxLength={200}
              placeholder="Vehicles per second"
              onChange={(event) => setChart({ ...chart, title: event.target.value })}
            />
          </div>
          {chart.sources.map((source, at) => (
            <SourceFields
              // biome-ignore lint/suspicious/noArrayIndexKey: they are only added and taken away at the end
              key={at}
              project={project}
              ids={ids}
              source={source}
              onChange={(next) => change(at, next)}
            />
          ))}
          <div className="row wrap">
            {chart.sources.length < 8 ? (
              <Button
                small
                icon="plus"
                onClick={() =>
                  setChart({ ...chart, sources: [...chart.sources, { ...EMPTY, stage: ids[0] ?? "" }] })
                }
              >
                One more stage
              </Button>
            ) : null}
            {chart.sources.length > 1 ? (
              <Button small onClick={() => setChart({ ...chart, sources: chart.sources.slice(0, -1) })}>
                Without the last
              </Button>
            ) : null}
          </div>
          <div className="row wrap">
            <div className="seg" role="group" aria-label="Look">
              {(["lines", "points"] as const).map((look) => (
                <button
                  key={look}
                  type="button"
                  aria-pressed={chart.look === look}
                  onClick={() => setChart({ ...chart, look })}
                >
                  {look === "lines" ? "Lines" : "Points"}
                </button>
              ))}
            </div>
            {chart.sources.some((s) => !s.file) ? (
              <label className="row small">
                mark the best
                <select
                  className="in"
                  value={chart.best}
                  onChange={(event) => setChart({ ...chart, best: event.target.value as ChartBody["best"] })}
                >
                  <option value="">no</option>
                  <option value="max">most</option>
                  <option value="min">least</option>
                </select>
              </label>
            ) : null}
          </div>
          <SaveChart pipeline={pipeline} maySave={maySave} chart={chart} onSaved={onClose} />
        </div>
        <div className="chart-preview">
          {chart.sources.some((s) => s.y.length) ? (
            <Drawn project={project} chart={chart} />
          ) : (
            <p className="m2">Choose what is drawn, and it appears here.</p>
          )}
        </div>
      </div>
    </Panel>
  );
}

const RESULTS = "results of each execution";

function SourceFields({
  project,
  ids,
  source,
  onChange,
}: {
  project: Project;
  ids: string[];
  source: Source;
  onChange: (source: Source) => void;
}) {
  const ran = ranOf(project, source.stage);
  const newest = ran.find((s) => s.state === "succeeded") ?? ran[0];
  const space = `project:${project.id}`;
  const files = useQuery({
    queryKey: ["files", space, "tables", newest?.name ?? ""],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/list", {
          params: { path: { space }, query: { path: `stages/${newest?.name}/output`, limit: 1000 } },
          signal,
        }),
      ),
    enabled: !!newest,
    retry: false,
  });
  const tables = useQuery({
    queryKey: ["project", project.id, "tables", newest?.number ?? 0],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages/{stage}/tables", {
          params: { path: { project: project.id, stage: newest?.number ?? 0 } },
          signal,
        }),
      ),
    enabled: !!newest,
    retry: false,
  });
  const columns = useQuery({
    queryKey: ["project", project.id, "columns", source.file, newest?.number ?? 0],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/charts/data", {
          params: {
            path: { project: project.id },
            query: { stage: [newest?.number ?? 0], file: source.file, points: 2 },
          },
          signal,
        }),
      ),
    enabled: !!newest && !!source.file,
  });
  const named = [
    ...(files.data?.items ?? [])
      .filter((f) => f.kind === "file" && /\.[ct]sv$/i.test(f.name))
      .map((f) => f.name),
    ...(tables.data?.items ?? []).map((t) => `.log_parser_output/${t.path}`),
  ];
  const [figures] = columns.data?.items ?? [];
  const found = source.file
    ? (figures?.series?.columns ?? []).map((c) => ({ name: c.name, number: c.type !== "text" }))
    : [...new Set(ran.flatMap((s) => [...Object.keys(s.point ?? {}), ...Object.keys(s.results ?? {})]))].map(
        (name) => ({ name, number: true }),
      );
  const toggle = (name: string, on: boolean) =>
    onChange({ ...source, y: on ? [...source.y, name] : source.y.filter((y) => y !== name) });
  return (
    <fieldset className="chart-source">
      <legend className="vh">What is drawn</legend>
      <div className="row wrap">
        <select
          className="in"
          aria-label="Stage"
          value={source.stage}
          onChange={(event) => onChange({ ...EMPTY, stage: event.target.value })}
        >
          {ids.map((id) => (
            <option key={id}>{id}</option>
          ))}
        </select>
        <select
          className="in"
          aria-label="File"
          value={source.file}
          onChange={(event) => onChange({ ...EMPTY, stage: source.stage, file: event.target.value })}
        >
          <option value="">{RESULTS}</option>
          {named.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <label className="row small">
          over
          <select
            className="in"
            aria-label="Over"
            value={source.x}
            onChange={(event) => onChange({ ...source, x: event.target.value })}
          >
            <option value="">{source.file ? "what suits" : "number of the stage"}</option>
            {found.map((column) => (
              <option key={column.name}>{column.name}</option>
            ))}
          </select>
        </label>
      </div>
      <div className="row wrap">
        {found
          .filter((column) => column.number && column.name !== source.x)
          .map((column) => (
            <label key={column.name} className="chip">
              <input
                type="checkbox"
                checked={source.y.includes(column.name)}
                onChange={(event) => toggle(column.name, event.target.checked)}
              />
              {column.name}
            </label>
          ))}
        {!found.length ? (
          <span className="small m2">
            {figures?.text || (source.file ? "The columns are being read." : "It has left no results.")}
          </span>
        ) : null}
      </div>
    </fieldset>
  );
}
