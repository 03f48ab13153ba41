/** What a stage made to look at: its pictures and pages, right where one is. The rest is among the files. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { plural } from "@/design/format.ts";
import { Panel } from "@/design/parts.tsx";
import { kindOf } from "@/shared/files.ts";
import type { StageView } from "@/shared/project.ts";
import { Shown } from "@/shared/Shown.tsx";

const PICTURES = 4;

export function Made({ project, stage }: { project: string; stage: StageView }) {
  const path = `stages/${stage.name}/output`;
  const { data } = useQuery({
    queryKey: ["files", `project:${project}`, path, "made"],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/files/{space}/list", {
          params: { path: { space: `project:${project}` }, query: { path, limit: 200 } },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY, // it has ended
  });
  const files = (data?.items ?? []).filter((each) => each.kind === "file");
  const pictures = files.filter((each) => kindOf(each.name) === "image").slice(0, PICTURES);
  const pages = files.filter((each) => kindOf(each.name) === "page");
  if (!pictures.length && !pages.length) return null;
  const others = files.length - pictures.length - pages.length;
  const params = { project };
  return (
    <Panel
      title={`What ${stage.id} made`}
      actions={
        <Link className="btn ghost sm" to="/projects/$project/files" params={params} search={{ path }}>
          {others > 0 ? `All files, ${plural(others, "more", "more")}` : "All files"}
        </Link>
      }
    >
      {pages.length ? (
        <p className="row wrap made-pages">
          {pages.map((page) => (
            <Link
              key={page.name}
              className="btn sm"
              to="/projects/$project/files"
              params={params}
              search={{ path, file: page.name }}
            >
              Read {page.name}
            </Link>
          ))}
        </p>
      ) : null}
      <div className="made">
        {pictures.map((picture) => (
          <Shown key={picture.name} project={project} path={`${path}/${picture.name}`} />
        ))}
      </div>
    </Panel>
  );
}
