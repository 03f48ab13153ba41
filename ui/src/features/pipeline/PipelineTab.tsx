/** The project's own pipeline: YAML beside the graph that it makes, checked while one types. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import { plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Note, Panel, Skeleton } from "@/design/parts.tsx";
import { PipelineGraph } from "@/shared/PipelineGraph.tsx";
import { may, projectQuery, useProject } from "@/shared/project.ts";
import type { Mistake } from "./Editor.tsx";
import "./pipeline.css";

const Editor = lazy(() => import("./Editor.tsx").then((m) => ({ default: m.Editor })));
const SETTLED = 400;

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
  const checked = useChecked(shown, id);
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
  const mistakes = useMemo(
    () =>
      [
        ...(checked.data?.errors ?? []).map((e): Mistake => ({ ...e, severity: "error" })),
        ...(checked.data?.warnings ?? []).map(
          (w): Mistake => ({
            line: 0,
            column: 0,
            hint: "",
            severity: "warning",
            message: (w as { text?: string }).text ?? "",
          }),
        ),
      ].filter((m) => m.message),
    [checked.data],
  );
  if (own.error)
    return (
      <div className="page">
        <ProblemPage error={own.error} again={() => void own.refetch()} />
      </div>
    );
  if (!own.data || !project) return <Skeleton rows={10} height={24} />;
  const editable = may(project, "run");
  const wrong = mistakes.filter((m) => m.severity === "error");
  return (
    <div className="pipeline-tab">
      <div className="pipeline-editor">
        <div className="row pipeline-bar wrap">
          <span className="m2 small">
            {project.pipeline.name}
            {own.data.library_version ? `@${own.data.library_version}` : ""}
            {own.data.edited ? ", changed here" : ""}
          </span>
          <span className="grow" />
          {dirty ? <span className="small ask">not saved</span> : null}
          {dirty ? (
            <Button small onClick={() => setText(null)}>
              Take back
            </Button>
          ) : null}
          <Button
            small
            look="primary"
            disabled={!dirty || wrong.length > 0 || !editable}
            busy={save.isPending}
            hotkey="Ctrl S"
            onClick={() => save.mutate()}
          >
            Save for this project
          </Button>
        </div>
        {save.error ? <ProblemNote error={save.error} /> : null}
        <Suspense fallback={<Skeleton rows={12} height={20} />}>
          <Editor
            text={shown}
            readOnly={!editable}
            mistakes={mistakes}
            onChange={setText}
            onSave={() => dirty && !wrong.length && save.mutate()}
          />
        </Suspense>
      </div>
      <aside className="pipeline-side">
        <Panel
          title="Graph"
          about={checked.data?.pipeline ? plural(checked.data.pipeline.stages.length, "stage") : ""}
        >
          {checked.data?.pipeline ? (
            <PipelineGraph
              stages={checked.data.pipeline.stages.map((s) => ({
                id: s.id,
                needs: s.needs ?? [],
                title: s.title ?? "",
              }))}
            />
          ) : (
            <p className="m2">It is drawn again as soon as it can be read.</p>
          )}
        </Panel>
        {mistakes.length ? (
          <Panel title={wrong.length ? plural(wrong.length, "problem") : "Notes"}>
            <ul className="problems">
              {mistakes.map((m) => (
                <li key={`${m.line}-${m.column}-${m.message}`}>
                  <Icon name={m.severity === "error" ? "warn" : "info"} />
                  <span>
                    {m.line ? <b>line {m.line}: </b> : null}
                    {m.message} <span className="m2">{m.hint}</span>
                  </span>
                </li>
              ))}
            </ul>
          </Panel>
        ) : (
          <Note icon="check">No problems. What has run keeps the definition it ran with.</Note>
        )}
      </aside>
    </div>
  );
}

function useChecked(text: string, project: string) {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLED);
    return () => clearTimeout(timer);
  }, [text]);
  return useQuery({
    queryKey: ["pipelines", "validate", project, settled],
    queryFn: ({ signal }) =>
      taken(api.POST("/api/v1/pipelines/validate", { body: { text: settled, project }, signal })),
    enabled: !!settled,
    placeholderData: (old) => old,
  });
}
