/** The variables of a stage with every layer that has them: which one counts, and where it comes from. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema.d.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemPage } from "@/design/Problem.tsx";
import { Empty, Skeleton, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { numbered, useProject } from "@/shared/project.ts";
import "./pipeline.css";
import { originWord } from "@/shared/origin.ts";

export function EnvironmentPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { stage } = useSearch({ from: "/inside/projects/$project/environment" });
  const { data: project } = useProject(id);
  const navigate = useNavigate();
  const about = stage ?? project?.stages[0]?.number;
  const record = useQuery({
    queryKey: ["project", id, "record", about],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages/{stage}", {
          params: { path: { project: id, stage: about ?? 0 } },
          signal,
        }),
      ),
    enabled: about !== undefined,
  });
  if (!project) return null;
  const hides = record.data?.environment.some((variable) => hidden(variable).length) ?? false;
  if (about === undefined) {
    return (
      <Empty icon="info" title="No stage yet">
        Once a stage is there its variables are shown with where they come from.
      </Empty>
    );
  }
  return (
    <div className="page">
      <div className="row environment-bar">
        <label className="row">
          Stage
          <select
            className="in narrow"
            value={about}
            onChange={(event) =>
              void navigate({
                to: "/projects/$project/environment",
                params: { project: id },
                search: { stage: Number(event.target.value) },
                replace: true,
              })
            }
          >
            {project.stages.map((s) => (
              <option key={s.number} value={s.number}>
                {s.id} {numbered(s.number)}
              </option>
            ))}
          </select>
        </label>
        <span className="small m2">Nearer layers win; what they hide is struck through.</span>
      </div>
      {record.error ? <ProblemPage error={record.error} again={() => void record.refetch()} /> : null}
      {!record.data && !record.error ? <Skeleton rows={8} height={32} /> : null}
      {record.data?.image ? <ImageLine image={record.data.image} /> : null}
      {record.data ? (
        <div ref={sideways} className="scroll-x">
          <table className="tbl environment">
            <thead>
              <tr>
                <th>Name</th>
                <th>Value</th>
                <th>From</th>
                {hides ? <th>Hidden</th> : null}
              </tr>
            </thead>
            <tbody>
              {record.data.environment.map((variable) => (
                <tr key={variable.name}>
                  <td className="mono">{variable.name}</td>
                  <td className="mono">
                    {variable.secret ? (
                      <>
                        <Icon name="lock" /> secret
                      </>
                    ) : (
                      (variable.value ?? <span className="m3">set by Winslow at its start</span>)
                    )}
                  </td>
                  <td>
                    <Tag kind={variable.origin === "run" || variable.origin === "this run" ? "acc" : ""}>
                      {originWord(variable.origin)}
                    </Tag>
                  </td>
                  {hides ? (
                    <td className="small m3">
                      {hidden(variable).map((layer) => (
                        <span key={layer.origin} className="hidden-layer">
                          <s className="mono">{layer.value}</s> {originWord(layer.origin)}
                        </span>
                      ))}
                    </td>
                  ) : null}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
    </div>
  );
}

/** What nearer layers have hidden. */
function hidden(variable: components["schemas"]["Variable"]) {
  return (variable.layers ?? []).filter((layer) => layer.origin !== variable.origin);
}

/** What the image's name was found to stand for when the stage began: the same for all its attempts. */
function ImageLine({ image }: { image: components["schemas"]["Image"] }) {
  return (
    <p className="small">
      Image <span className="mono">{image.name}</span>, pinned to{" "}
      <span className="mono" title={image.digest}>
        {image.digest.slice(0, 19)}…
      </span>
    </p>
  );
}
