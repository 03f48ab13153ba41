/** One chart of a stage's definition, drawn from the CSV files of several executions over one another. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { LineChart } from "@/design/charts/LineChart.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Skeleton } from "@/design/parts.tsx";
import { numbered } from "./project.ts";
import { joined } from "./series.ts";

type Chart = components["schemas"]["Chart"];

export function StageChart({
  project,
  chart,
  stages,
}: {
  project: string;
  chart: Chart;
  stages: readonly number[];
}) {
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
