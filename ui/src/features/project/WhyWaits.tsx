/** Of a stage that waits: when it may start, and, on demand, what keeps it from each node. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { StageView } from "@/shared/project.ts";

const EVERY = 5000; // milliseconds

export function WhyWaits({ project, stage }: { project: string; stage: StageView }) {
  const [open, setOpen] = useState(false);
  const kind = stage.reason?.kind;
  const asks = kind === "busy" || kind === "impossible";
  const { data, error } = useQuery({
    queryKey: ["nodes-for", project, stage.number],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages/{stage}/nodes", {
          params: { path: { project, stage: stage.number } },
          signal,
        }),
      ),
    enabled: open && asks,
    refetchInterval: EVERY,
  });
  if (!asks && !stage.begins) return null;
  return (
    <div>
      {stage.begins ? <p className="m2">May start in {stage.begins.text}</p> : null}
      {asks ? (
        <details onToggle={(e) => setOpen(e.currentTarget.open)}>
          <summary className="small">What keeps it from each node</summary>
          {error ? <p className="small m2">{error.message}</p> : null}
          <table className="tbl">
            <tbody>
              {(data?.items ?? []).map((v) => (
                <tr key={v.node}>
                  <th scope="row">{v.node}</th>
                  <td className="m2">{v.text}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      ) : null}
    </div>
  );
}
