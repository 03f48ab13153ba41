/** The project's own pipeline: YAML beside the graph that it makes, checked while one types. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton } from "@/design/parts.tsx";
import { may, projectQuery, useProject } from "@/shared/project.ts";
import { Workbench } from "@/shared/Workbench.tsx";

export function PipelineTab() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const client = useQueryClient();
  const own = useQuery({
    queryKey: ["project", id, "pipeline"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/pipeline", { params: { path: { project: id } }, signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const [text, setText] = useState<string | null>(null);
  const shown = text ?? own.data?.text ?? "";
  const dirty = text !== null && text !== own.data?.text;
  const save = useMutation({
    mutationFn: () =>
      taken(
        api.PUT("/api/v1/projects/{project}/pipeline", {
          params: {
            path: { project: id },
            header: { "Idempotency-Key": newKey(), "If-Match": `"${own.data?.version}"` } as never,
          },
          body: { text: shown },
        }),
      ),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["project", id, "pipeline"] });
      await client.invalidateQueries({ queryKey: projectQuery(id).queryKey });
      setText(null);
    },
  });
  useEffect(() => {
    const leave = (event: BeforeUnloadEvent) => {
      if (dirty) event.preventDefault();
    };
    window.addEventListener("beforeunload", leave);
    return () => window.removeEventListener("beforeunload", leave);
  }, [dirty]);
  if (own.error)
    return (
      <div className="page">
        <ProblemPage error={own.error} again={() => void own.refetch()} />
      </div>
    );
  if (!own.data || !project) return <Skeleton rows={10} height={24} />;
  const editable = may(project, "run");
  return (
    <Workbench
      text={shown}
      project={id}
      readOnly={!editable}
      onChange={setText}
      onSave={() => dirty && save.mutate()}
      bar={(wrong) => (
        <>
          <span className="m2 small">
            {project.pipeline.name}
            {own.data.library_version ? `@${own.data.library_version}` : ""}
            {own.data.edited ? ", changed here" : ""}
          </span>
          <span className="grow" />
          {save.error ? <ProblemNote error={save.error} /> : null}
          {dirty ? <span className="small ask">not saved</span> : null}
          {dirty ? (
            <Button small onClick={() => setText(null)}>
              Take back
            </Button>
          ) : null}
          <Button
            small
            look="primary"
            disabled={!dirty || wrong || !editable}
            busy={save.isPending}
            hotkey="Ctrl S"
            onClick={() => save.mutate()}
          >
            Save for this project
          </Button>
        </>
      )}
      side={<p className="small m2">What has run keeps the definition it ran with.</p>}
    />
  );
}
