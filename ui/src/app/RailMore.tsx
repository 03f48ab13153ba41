/** What only the wide rail has room for: the views of the list of projects, and how much of the machines and the share is left. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { bytesOf, count } from "@/design/format.ts";
import { Bar } from "@/design/parts.tsx";
import type { ProjectsSearch } from "@/features/projects";
import { nodesQuery } from "@/shared/nodes.ts";
import { useSession } from "@/shared/session.ts";
import { inRail, searchOf, useViews } from "@/shared/views.ts";

const MACHINES = 30_000; // ms; nobody is asked while the tab is hidden
const SHARE = 5 * 60_000;

export function RailViews() {
  const me = useSession()?.user ?? "";
  const own = useViews((s) => s.own);
  return (
    <div className="views" role="group" aria-label="Views of the projects">
      {inRail(me, own).map((view) => (
        <Link
          key={view.name}
          to="/projects"
          search={searchOf(view) as ProjectsSearch}
          activeOptions={{ exact: true }}
          title={view.name}
        >
          <span className="trunc">{view.name}</span>
        </Link>
      ))}
    </div>
  );
}

export function RailFoot() {
  const gpus = useQuery({
    ...nodesQuery,
    refetchInterval: MACHINES,
    select: ({ gpus: all, gpus_booked: used }) => ({ all, used }),
  }).data;
  const share = useQuery({
    queryKey: ["share"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/files/{space}/usage", { params: { path: { space: "inputs" } }, signal })),
    staleTime: SHARE / 2,
    refetchInterval: SHARE,
    select: ({ free, total }) => ({ free, total }),
  }).data;
  return (
    <div className="foot">
      {gpus?.all ? (
        <div>
          <p>
            GPUs in use <b>{`${count(gpus.used)} of ${count(gpus.all)}`}</b>
          </p>
          <Bar used={gpus.used} of={gpus.all} />
        </div>
      ) : null}
      {share?.total ? (
        <div>
          <p>
            Share free <span>{bytesOf(share.free, share.total)}</span>
          </p>
          <Bar kind="rest" used={share.total - share.free} of={share.total} />
        </div>
      ) : null}
    </div>
  );
}
