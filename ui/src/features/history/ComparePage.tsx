/** Two or more executions side by side: what differs in values, results and run, with the best marked. */
import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { bytes, count, duration } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Panel, Skeleton } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { type State, StateMark } from "@/design/state.tsx";
import { pictureOf } from "@/shared/Picture.tsx";
import { may, numbered, useCommand, useProject } from "@/shared/project.ts";
import { StageChart } from "@/shared/StageChart.tsx";
import { against, best } from "./lineage.ts";
import "./history.css";

type Line = components["schemas"]["Compared"];
type Chart = components["schemas"]["Chart"];
const GROUPS: [string, string][] = [
  ["values", "Values"],
  ["results", "Results"],
  ["run", "Run"],
  ["definition", "Definition"],
];
const LOW = new Set(["seconds", "cpu_seconds", "peak_memory_bytes"]);
/** What the server calls the lines about the run, in words. */
const WORDS: Record<string, string> = {
  seconds: "duration",
  waited: "waited before",
  cpu_seconds: "time on the CPU",
  peak_memory_bytes: "most memory",
  output_bytes: "size of the output",
  workspace_bytes: "size of the workspace",
  inputs: "made from",
};

export function ComparePage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { stages = "" } = useSearch({ from: "/inside/projects/$project/compare" });
  const { data: project } = useProject(id);
  const navigate = useNavigate();
  const command = useCommand(id);
  const [only, setOnly] = useState(true);
  const numbers = stages
    .split(",")
    .map(Number)
    .filter((n) => n > 0);
  const [left = 0, right = 0, ...more] = numbers;
  const compared = useQuery({
    queryKey: ["compare", id, stages],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/compare", {
          params: { path: { project: id }, query: { left, right, more } },
          signal,
        }),
      ),
    enabled: right > 0,
  });
  if (!right) {
    return (
      <Empty
        icon="chart"
        title="Compare which?"
        action={
          <Link className="btn" to="/projects/$project/history" params={{ project: id }}>
            To the history
          </Link>
        }
      >
        Choose two or more executions in the history.
      </Empty>
    );
  }
  if (compared.error)
    return (
      <div className="page">
        <ProblemPage error={compared.error} again={() => void compared.refetch()} />
      </div>
    );
  if (!compared.data || !project) return <Skeleton rows={8} height={32} />;
  const { stages: shown, lines, differing } = compared.data;
  const choice = project.gates.find((g) => g.kind === "choice");
  const drop = (n: number) =>
    void navigate({
      to: "/projects/$project/compare",
      params: { project: id },
      search: { stages: numbers.filter((o) => o !== n).join(",") },
    });
  return (
    <div className="page">
      <div className="row wrap history-bar">
        <h1>{[...new Set(shown.map((s) => s.id))].join(" and ")}, side by side</h1>
        <span className="grow" />
        <div className="seg" role="group" aria-label="Which lines">
          <button type="button" aria-pressed={only} onClick={() => setOnly(true)}>
            Only differences
          </button>
          <button type="button" aria-pressed={!only} onClick={() => setOnly(false)}>
            All {count(lines.length)} lines
          </button>
        </div>
        <Button
          icon="down"
          onClick={() =>
            save(
              csvOf(
                shown.map((s) => s.name),
                lines,
              ),
              `${project.name}.csv`,
            )
          }
        >
          CSV
        </Button>
      </div>
      <div ref={sideways} className="scroll-x">
        <table className="tbl compare">
          <thead>
            <tr>
              <th className="m3">Compared to {numbered(shown[0]?.number ?? 0)}</th>
              {shown.map((stage) => (
                <th key={stage.number} className="num">
                  <span className="row end">
                    <StateMark state={stage.state as State} label={stage.word} />
                    <b>
                      {stage.id} {numbered(stage.number)}
                    </b>
                    {shown.length > 2 ? (
                      <Button
                        small
                        look="ghost"
                        icon="x"
                        aria-label={`Without ${stage.name}`}
                        onClick={() => drop(stage.number)}
                      />
                    ) : null}
                  </span>
                  {choice &&
                  stage.sweep === choice.sweep &&
                  stage.state === "succeeded" &&
                  may(project, "run") ? (
                    <Button
                      small
                      busy={command.isPending}
                      onClick={() =>
                        command.mutate(
                          {
                            kind: "answer_gate",
                            gate: choice.id,
                            answer: "go",
                            values: {},
                            stage: stage.number,
                          },
                          {
                            onSuccess: () =>
                              void navigate({ to: "/projects/$project", params: { project: id } }),
                          },
                        )
                      }
                    >
                      Go on with {numbered(stage.number)}
                    </Button>
                  ) : null}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {GROUPS.map(([group, title]) => {
              const own = lines.filter((l) => l.group === group);
              const visible = only ? own.filter((l) => l.differs) : own;
              if (!visible.length) return null;
              return (
                <Fragment key={group}>
                  <tr className="group">
                    <th colSpan={shown.length + 1} scope="colgroup">
                      {title}{" "}
                      <span className="m3">
                        {count(own.filter((l) => l.differs).length)} of {count(own.length)} differ
                      </span>
                    </th>
                  </tr>
                  {visible.map((line) => (
                    <Compared key={line.name} line={line} />
                  ))}
                </Fragment>
              );
            })}
            <Pictures project={id} stages={shown.map((s) => s.name)} />
          </tbody>
        </table>
        {differing ? null : <Empty icon="check" title="Nothing differs" />}
      </div>
      <Charts project={id} stages={shown} />
    </div>
  );
}

/** One chart for each column: what is to be compared lies over one another, and nothing else does. */
function apart(chart: Chart): Chart[] {
  if (chart.y.length < 2) return [chart];
  return chart.y.map((y) => ({ ...chart, y: [y], title: [chart.title || chart.file, y].join(": ") }));
}

/** What the stages of one definition wrote, over one another. */
function Charts({ project, stages }: { project: string; stages: readonly { number: number; id: string }[] }) {
  const charts = useQuery({
    queryKey: ["project", project, "charts", "compared"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/charts", { params: { path: { project } }, signal })),
  });
  if (charts.error) return <ProblemNote error={charts.error} again={() => void charts.refetch()} />;
  const drawn = (charts.data?.items ?? []).flatMap((each) => {
    const numbers = stages.filter((stage) => stage.id === each.id).map((stage) => stage.number);
    return numbers.length > 1 && each.charts.length ? [{ ...each, numbers }] : [];
  });
  return drawn.map((each) => (
    <Panel
      key={each.id}
      className="compared-charts"
      title={`Charts of ${each.id}`}
      about={each.numbers.map(numbered).join(", ")}
    >
      {each.charts.flatMap(apart).map((chart) => (
        <StageChart
          key={`${chart.file}-${chart.x}-${chart.y.join()}`}
          project={project}
          chart={chart}
          stages={each.numbers}
        />
      ))}
    </Panel>
  ));
}

function Compared({ line }: { line: Line }) {
  const textual = line.group === "definition" && line.values.some((v) => typeof v === "object" && v !== null);
  const look = line.differs && line.group === "values" ? "differs" : "";
  const winner = line.group === "run" && LOW.has(line.name) ? best(line.values, "low") : -1;
  // what reads alike is alike to the eye: no percentage and no winner among equals
  const texts = line.values.map((value) => shownAs(line, value));
  const alike = texts.every((text) => text === texts[0]);
  return (
    <tr>
      <td className={line.group === "values" ? "mono" : ""}>
        {line.group === "run"
          ? (WORDS[line.name] ?? line.name.replaceAll("_", " "))
          : line.group === "definition"
            ? line.name.replaceAll("_", " ")
            : line.name}
      </td>
      {line.values.map((value, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the columns are the stages, in their order
        <td key={at} className={`${look} ${textual ? "text" : "num"}`}>
          {at === winner && !alike ? <span className="best">best </span> : null}
          {texts[at]}{" "}
          <span className="m3 small nowrap">
            {at && texts[at] !== texts[0] ? against(value, line.values[0]) : ""}
          </span>
        </td>
      ))}
    </tr>
  );
}

const PICTURE = /\.(jpe?g|png|webp)$/i;

/** Pictures of one name that more than one of them has made. */
function Pictures({ project, stages }: { project: string; stages: string[] }) {
  const found = useQueries({
    queries: stages.map((stage) => ({
      queryKey: ["pictures", project, stage],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        taken(
          api.GET("/api/v1/files/{space}/list", {
            params: { path: { space: `project:${project}` }, query: { path: `stages/${stage}/output` } },
            signal,
          }),
        ).then(
          (list) => list.items.map((each) => each.name).filter((name) => PICTURE.test(name)),
          () => [] as string[],
        ),
    })),
  });
  const all = found.map((each) => each.data ?? []);
  const names = [...new Set(all.flat())].filter((name) => all.filter((own) => own.includes(name)).length > 1);
  return names.slice(0, 4).map((name) => (
    <tr key={name}>
      <td>{name}</td>
      {stages.map((stage, at) => (
        <td key={stage} className="picture">
          {all[at]?.includes(name) ? (
            <img
              src={pictureOf(project, `${stage}/output/${name}`)}
              alt={`${name} of ${stage}`}
              loading="lazy"
            />
          ) : (
            "–"
          )}
        </td>
      ))}
    </tr>
  ));
}

function shownAs(line: Line, value: unknown): string {
  if (value == null || value === "") return "–";
  if (typeof value === "number") {
    if (/seconds|waited|duration/.test(line.name) && line.group === "run") return duration(value * 1000);
    if (/bytes|memory/.test(line.name) && line.group !== "results") return bytes(value);
    return count(value);
  }
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value)) return value.map(String).join(" ");
  const parts = Object.entries(value).map(
    ([key, each]) =>
      `${key} ${line.name === "inputs" ? numbered(Number(each)) : typeof each === "object" ? JSON.stringify(each) : each}`,
  );
  return parts.join(", ") || "–";
}

function csvOf(names: string[], lines: Line[]): string {
  const cell = (value: unknown) => {
    const text = value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [["group", "name", ...names], ...lines.map((l) => [l.group, l.name, ...l.values])]
    .map((row) => row.map(cell).join(","))
    .join("\n");
}

function save(text: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
