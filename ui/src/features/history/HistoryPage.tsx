/** Every execution of a project, newest first: how it ended, what it came from, who asked for it; two or more can be compared. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import { duration } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Avatar, Button, Empty, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { type State, StateTag } from "@/design/state.tsx";
import { Ago, useNow } from "@/design/time.tsx";
import { may, numbered, useProject } from "@/shared/project.ts";
import { useSession } from "@/shared/session.ts";
import { lineage } from "./lineage.ts";
import "./history.css";

export function HistoryPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const [chosen, setChosen] = useState<readonly number[]>([]);
  const navigate = useNavigate();
  const now = useNow();
  const me = useSession()?.user;
  const oldest = project?.stages_next ?? 0;
  const older = useInfiniteQuery({
    queryKey: ["project", id, "older", oldest],
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages", {
          params: { path: { project: id }, query: { before: pageParam, limit: 200 } },
          signal,
        }),
      ),
    initialPageParam: oldest,
    getNextPageParam: (last) => last.next || undefined,
    enabled: false,
  });
  if (!project) return null;
  const stages = [...project.stages, ...(older.data?.pages ?? []).flatMap((p) => p.items)];
  const toggle = (n: number) =>
    setChosen((old) => (old.includes(n) ? old.filter((o) => o !== n) : [...old, n]));
  if (!stages.length) {
    return (
      <Empty icon="clock" title="Nothing has run yet">
        What runs stays here for ever, with the values it ran with.
      </Empty>
    );
  }
  return (
    <div className="page">
      <div className="row history-bar">
        <span className="m2 small">Choose two or more to compare them.</span>
        <span className="grow" />
        <Button
          look={chosen.length > 1 ? "primary" : "plain"}
          disabled={chosen.length < 2}
          onClick={() =>
            void navigate({
              to: "/projects/$project/compare",
              params: { project: id },
              search: { stages: [...chosen].sort((a, b) => a - b).join(",") },
            })
          }
        >
          Compare {chosen.length > 1 ? chosen.length : ""}
        </Button>
      </div>
      <div ref={sideways} className="scroll-x">
        <table className="tbl history">
          <thead>
            <tr>
              <th>
                <span className="vh">Compare</span>
              </th>
              <th>Stage</th>
              <th>State</th>
              <th>From</th>
              <th className="num">Waited</th>
              <th className="num">Ran</th>
              <th>Node</th>
              <th>Started</th>
              <th>By</th>
              <th>
                <span className="vh">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {stages.map((stage) => (
              <tr key={stage.number} aria-selected={chosen.includes(stage.number)}>
                <td className="c-pick">
                  <input
                    type="checkbox"
                    aria-label={`Compare ${stage.name}`}
                    checked={chosen.includes(stage.number)}
                    onChange={() => toggle(stage.number)}
                  />
                </td>
                <td className="c-stage nowrap">
                  <b>{stage.id}</b> <span className="m3">{numbered(stage.number)}</span>{" "}
                  {stage.counts ? (
                    <span title="The project goes on from this one">
                      <Tag kind="ok">counts</Tag>
                    </span>
                  ) : stage.stale ? (
                    <span title="A stage before it was redone since: this one was made from what no longer counts">
                      <Tag>stale</Tag>
                    </span>
                  ) : null}
                </td>
                <td className="c-state">
                  <StateTag state={stage.state as State} word={stage.word} />{" "}
                  <span className="m2 small">{stage.detail}</span>
                </td>
                <td className="c-from m2 small wide-cell">
                  {lineage(stage)}
                  {stage.comment ? <em> “{stage.comment}”</em> : null}
                </td>
                <td className="c-waited num m2">
                  {stage.waited != null ? duration(stage.waited * 1000) : "–"}
                </td>
                <td className="c-ran num">
                  {stage.started
                    ? duration((stage.ended ? Date.parse(stage.ended) : now) - Date.parse(stage.started))
                    : "–"}
                </td>
                <td className="c-node">{stage.node || "–"}</td>
                <td className="c-started m2 nowrap">{stage.started ? <Ago at={stage.started} /> : "–"}</td>
                <td className="c-by">
                  {stage.actor ? (
                    <Avatar name={stage.actor} me={stage.actor === me} />
                  ) : (
                    <span className="m3 small">by itself</span>
                  )}
                </td>
                <td className="c-acts nowrap">
                  {stage.attempt ? (
                    <>
                      <Link
                        className="btn ghost sm"
                        to="/projects/$project/logs"
                        params={{ project: id }}
                        search={{ stage: stage.number }}
                      >
                        Log
                      </Link>
                      <Link
                        className="btn ghost sm"
                        to="/projects/$project/files"
                        params={{ project: id }}
                        search={{ path: `stages/${stage.name}/output` }}
                      >
                        Files
                      </Link>
                    </>
                  ) : null}
                  {may(project, "run") && stage.ended ? (
                    <Link
                      className="btn ghost sm"
                      to="/projects/$project/run"
                      params={{ project: id }}
                      search={{ redo: stage.number }}
                    >
                      Redo…
                    </Link>
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {older.error ? <ProblemNote error={older.error} again={() => void older.fetchNextPage()} /> : null}
      {oldest && (older.hasNextPage || !older.data) ? (
        <Button look="ghost" busy={older.isFetching} onClick={() => void older.fetchNextPage()}>
          Older ones
        </Button>
      ) : null}
    </div>
  );
}
