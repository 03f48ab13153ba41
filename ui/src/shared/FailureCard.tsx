/** What failed, in its own last words, and the ways on. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { Button, Panel } from "@/design/parts.tsx";
import { StateTag } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { may, type Project, tellFailure, useCommand } from "@/shared/project.ts";
import "./asks.css";

const LINES = 4;

/** `first`: of several the one with the primary button. */
export function FailureCard({
  project,
  failure,
  first = true,
}: {
  first?: boolean;
  project: Project;
  failure: components["schemas"]["Failure"];
}) {
  const command = useCommand(project.id);
  const { data } = useQuery({
    queryKey: ["last-words", project.id, failure.stage],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages/{stage}/log/tail", {
          params: {
            path: { project: project.id, stage: failure.stage },
            query: { count: LINES, stream: "err" },
          },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const lines = data?.lines ?? [];
  const search = { stage: failure.stage };
  const params = { project: project.id };
  return (
    <Panel
      className="fail"
      title={<StateTag state="failed" word={`${failure.id} failed`} />}
      about={<Ago at={failure.since} />}
    >
      <p className="m2">{failure.message}</p>
      {lines.length ? <pre>{lines.map((l) => l.text).join("\n")}</pre> : null}
      <div className="row wrap">
        {may(project, "run") ? (
          <>
            <Link
              className={first ? "btn primary sm" : "btn sm"}
              to="/projects/$project/run"
              params={params}
              search={{ redo: failure.stage }}
            >
              Redo {failure.id}…
            </Link>
            <Button
              small
              busy={command.isPending}
              onClick={() =>
                command.mutate(
                  { kind: "skip_stage", stage: failure.stage },
                  { onError: tellFailure(`${failure.id} was not skipped`) },
                )
              }
            >
              Skip it
            </Button>
          </>
        ) : null}
        <Link
          className="btn ghost sm"
          to="/projects/$project/logs"
          params={params}
          search={lines.length ? { ...search, line: (lines.at(-1)?.n ?? 0) + 1 } : search}
        >
          Log
        </Link>
      </div>
    </Panel>
  );
}
