/** The results of a sweep as a table and over what was varied, the best marked by a result of one's choice. */
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { download } from "@/design/charts/csv.ts";
import { LineChart } from "@/design/charts/LineChart.tsx";
import { count } from "@/design/format.ts";
import { Button, Panel, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { numbered, type Project } from "@/shared/project.ts";
import { bestOf, numberOf, placeOf, varied, type Way } from "@/shared/series.ts";
import { SaveChart } from "./SaveChart.tsx";

export function SweepResults({
  project,
  sweep,
  id,
  pipeline,
  maySave,
}: {
  project: Project;
  sweep: number;
  id: string;
  pipeline: string;
  maySave: boolean;
}) {
  const stages = project.stages
    .filter((s) => s.sweep === sweep && s.state === "succeeded")
    .sort((a, b) => a.number - b.number);
  const axes = [...new Set(stages.flatMap((s) => Object.keys(s.point ?? {})))];
  const results = [...new Set(stages.flatMap((s) => Object.keys(s.results ?? {})))];
  const numeric = results.filter((name) => stages.some((s) => numberOf(s.results?.[name]) !== null));
  const [chosen, setChosen] = useState("");
  const [over, setOver] = useState("");
  const [way, setWay] = useState<Way>("max");
  const result = numeric.includes(chosen) ? chosen : (numeric[0] ?? "");
  const axis = axes.includes(over)
    ? over
    : (axes.find((name) => stages.some((s) => numberOf(s.point?.[name]) !== null)) ?? "");
  const drawn = varied(stages, axis, result ? [result] : []);
  const best = result ? bestOf(stages, result, way) : null;
  const bestX = best && placeOf(best, axis);
  const bestY = best && numberOf(best.results?.[result]);
  const ordered = [...stages].sort(
    (a, b) => (placeOf(a, axis) ?? 0) - (placeOf(b, axis) ?? 0) || a.number - b.number,
  );
  const title = `${result} over ${axis}`;
  return (
    <Panel
      title={`Sweep of ${id}`}
      about={`${count(stages.length)} that succeeded`}
      actions={
        <Button
          small
          look="ghost"
          icon="csv"
          onClick={() =>
            download(`sweep of ${id}`, [
              { name: "stage", values: ordered.map((s) => s.number) },
              ...axes.map((name) => ({ name, values: ordered.map((s) => s.point?.[name]) })),
              ...results.map((name) => ({
                name,
                values: ordered.map((s) => s.results?.[name] as string | number | undefined),
              })),
            ])
          }
        >
          CSV
        </Button>
      }
    >
      {result ? (
        <div className="row wrap chart-bar">
          <label className="row small">
            best by
            <select className="in" value={result} onChange={(event) => setChosen(event.target.value)}>
              {numeric.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <div className="seg" role="group" aria-label="Which is best">
            {(["max", "min"] as const).map((each) => (
              <button key={each} type="button" aria-pressed={way === each} onClick={() => setWay(each)}>
                {each === "max" ? "most" : "least"}
              </button>
            ))}
          </div>
          {axes.length > 1 ? (
            <label className="row small">
              over
              <select className="in" value={axis} onChange={(event) => setOver(event.target.value)}>
                {axes.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          ) : null}
          <span className="grow" />
          <SaveChart
            pipeline={pipeline}
            maySave={maySave}
            chart={{
              title,
              look: "points",
              best: way,
              sources: [{ stage: id, file: "", x: axis, y: [result] }],
            }}
          />
        </div>
      ) : null}
      <div className="chart-grid">
        {drawn.x.length > 1 ? (
          <LineChart
            label={title}
            x={drawn.x}
            xLabel={axis}
            series={drawn.series}
            points
            best={bestX != null && bestY != null ? { x: bestX, y: bestY } : null}
            height={240}
          />
        ) : null}
        <div ref={sideways} className="scroll-x">
          <table className="tbl">
            <thead>
              <tr>
                <th>Stage</th>
                {[...axes, ...results].map((name) => (
                  <th key={name} className="num">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {ordered.map((s) => (
                <tr key={s.number} aria-selected={s === best}>
                  <td className="nowrap">
                    <Link
                      to="/projects/$project"
                      params={{ project: project.id }}
                      search={{ stage: s.number }}
                    >
                      {numbered(s.number)}
                    </Link>{" "}
                    {s === best ? <Tag kind="ok">best</Tag> : null}
                  </td>
                  {axes.map((name) => (
                    <td key={name} className="num mono">
                      {s.point?.[name]}
                    </td>
                  ))}
                  {results.map((name) => {
                    const value = s.results?.[name];
                    return (
                      <td key={name} className="num">
                        {typeof value === "number" ? exact(value) : String(value ?? "–")}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
    </Panel>
  );
}

/** Results differ in small digits, so they are not rounded away. */
function exact(value: number): string {
  return value.toLocaleString("en-GB", { maximumSignificantDigits: 6 });
}
