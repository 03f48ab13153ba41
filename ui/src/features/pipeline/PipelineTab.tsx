/** The project's own pipeline: YAML beside the graph that it makes, checked while one types. What is typed is kept in this
 *  browser until it is saved, and never overwrites what somebody else saved meanwhile without a word. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { api, newKey, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton, Tag } from "@/design/parts.tsx";
import { Clash, DraftTag } from "@/shared/Clash.tsx";
import { useDraft } from "@/shared/drafts.ts";
import { may, type Project, projectQuery, useProject } from "@/shared/project.ts";
import { Workbench } from "@/shared/Workbench.tsx";
import { AnotherPipeline } from "./AnotherPipeline.tsx";

type Own = components["schemas"]["OwnPipeline"];
const TRIES = 5; // a project that runs changes all the time, its pipeline hardly ever

const read = (id: string, signal?: AbortSignal) =>
  taken(
    api.GET("/api/v1/projects/{project}/pipeline", {
      params: { path: { project: id } },
      ...(signal ? { signal } : {}),
    }),
  );

export function PipelineTab() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const own = useQuery({
    queryKey: ["project", id, "pipeline"],
    queryFn: ({ signal }) => read(id, signal),
    staleTime: 60_000,
  });
  if (own.error)
    return (
      <div className="page">
        <ProblemPage error={own.error} again={() => void own.refetch()} />
      </div>
    );
  if (!own.data || !project) return <Skeleton rows={10} height={24} />;
  return <Desk key={id} id={id} own={own.data} project={project} />;
}

function Desk({ id, own, project }: { id: string; own: Own; project: Project }) {
  const client = useQueryClient();
  const typing = useDraft(`project.${id}`, { text: own.text, mark: own.version });
  const save = useMutation({
    mutationFn: (text: string) => put(id, text, own),
    onSuccess: (_, text) => {
      client.setQueryData(["project", id, "pipeline"], (old: Own) => ({ ...old, text }));
      typing.saved(text); // not what was typed since
      return client.invalidateQueries({ queryKey: projectQuery(id).queryKey });
    },
    onError: () => client.invalidateQueries({ queryKey: ["project", id, "pipeline"] }),
  });
  const editable = may(project, "run");
  const told = save.error && asProblem(save.error).status !== 412 ? save.error : null;
  const name = own.library_version ? `${own.name}@${own.library_version}` : own.name;
  return (
    <Workbench
      text={typing.text}
      kept={{ name: typing.clash ? "saved meanwhile" : "saved", text: own.text }}
      of={{ project: id }}
      readOnly={!editable}
      onChange={typing.type}
      onSave={() => typing.draft && !typing.clash && !save.isPending && save.mutate(typing.text)}
      notice={
        <>
          {told ? <ProblemNote error={told} /> : null}
          <Clash typing={typing}>
            The pipeline of this project was changed while you typed. Nothing of yours was saved, and nothing
            is lost.
          </Clash>
        </>
      }
      bar={(wrong) => (
        <>
          <b>{name}</b>
          {own.edited ? <Tag>changed here</Tag> : null}
          <DraftTag typing={typing} />
          <span className="grow" />
          {typing.draft && editable ? (
            <Button small look="ghost" onClick={typing.drop}>
              Throw away
            </Button>
          ) : null}
          {editable ? (
            <Button
              small
              look="primary"
              disabled={!typing.draft || wrong || typing.clash}
              busy={save.isPending}
              hotkey="Ctrl S"
              onClick={() => save.mutate(typing.text)}
            >
              Save for this project
            </Button>
          ) : (
            <span className="small m2">You may look at it.</span>
          )}
        </>
      )}
      side={
        <>
          <p className="small m2">What has run keeps the definition it ran with.</p>
          {editable ? <AnotherPipeline project={project} onTaken={typing.drop} /> : null}
        </>
      }
    />
  );
}

/** The version counts everything that happens in the project: where only that has moved, it is tried again. */
async function put(id: string, text: string, seen: Own): Promise<unknown> {
  for (let version = seen.version, tries = 1; ; tries += 1) {
    try {
      return await taken(
        api.PUT("/api/v1/projects/{project}/pipeline", {
          params: {
            path: { project: id },
            header: { "Idempotency-Key": newKey(), "If-Match": `"${version}"` },
          },
          body: { text },
        }),
      );
    } catch (error) {
      if (asProblem(error).status !== 412 || tries >= TRIES) throw error;
      const now = await read(id);
      if (now.text !== seen.text) throw error;
      version = now.version;
    }
  }
}
