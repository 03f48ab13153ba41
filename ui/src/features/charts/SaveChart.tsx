/** Keep a chart with the pipeline, so that every project of it shows it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";

export type ChartBody = components["schemas"]["ChartBody"];

export function SaveChart({
  pipeline,
  maySave,
  chart,
  onSaved,
}: {
  /** of the library; empty: the project was made of a file */
  pipeline: string;
  maySave: boolean;
  chart: ChartBody;
  onSaved?: () => void;
}) {
  const client = useQueryClient();
  const save = useMutation({
    mutationFn: () =>
      taken(
        api.POST("/api/v1/pipelines/{name}/charts", { params: { path: { name: pipeline } }, body: chart }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["project"] });
      onSaved?.();
    },
  });
  if (!maySave)
    return (
      <span className="small m2">
        {pipeline
          ? `Who may publish ${pipeline} keeps charts with it.`
          : "Charts are kept with pipelines of the library; this one came from a file."}
      </span>
    );
  return (
    <>
      {save.error ? <ProblemNote error={save.error} /> : null}
      <Button
        small
        icon="star"
        busy={save.isPending}
        disabled={!chart.title.trim() || chart.sources.some((s) => !s.y.length || !s.stage)}
        title={`Every project of ${pipeline} shows it`}
        onClick={() => save.mutate()}
      >
        Keep with {pipeline}
      </Button>
    </>
  );
}
