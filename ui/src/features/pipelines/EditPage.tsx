/** Write a pipeline of the library: each save is a new version, and none is ever changed. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Panel, Skeleton } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { Workbench } from "@/shared/Workbench.tsx";

export interface EditSearch {
  name?: string;
  version?: number;
  example?: string;
}

const FIRST = `winslow: 1
name: my-pipeline
title: What it does
parameters:
  AMOUNT: {type: integer, default: 10, min: 1, max: 1000}
stages:
  - id: first
    command: [sh, -c, "echo amount=$AMOUNT >> $WINSLOW_RESULTS"]
    results: {amount: integer}
`;

export function EditPage() {
  const search = useSearch({ from: "/inside/pipelines/edit" });
  const examples = useQuery({
    queryKey: ["pipelines", "examples"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/pipelines/examples", { signal })),
    enabled: !!search.example,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (search.name)
    return <Kept key={`${search.name}@${search.version}`} name={search.name} version={search.version} />;
  if (search.example && !examples.data) return <Skeleton rows={10} />;
  const example = examples.data?.items.find((e) => e.name === search.example);
  return <Desk key={search.example ?? ""} name="" newest={0} text={example?.text ?? FIRST} fresh />;
}

function Kept({ name, version }: { name: string; version: number | undefined }) {
  const shelf = useQuery({
    queryKey: ["pipelines", name],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}", { params: { path: { name } }, signal })),
  });
  const older = useQuery({
    queryKey: ["pipelines", name, "versions", version],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/pipelines/{name}/versions/{number}", {
          params: { path: { name, number: version ?? 0 } },
          signal,
        }),
      ),
    enabled: version !== undefined,
  });
  const error = shelf.error ?? older.error;
  if (error)
    return (
      <div className="page">
        <ProblemPage error={error} again={() => void shelf.refetch()} />
      </div>
    );
  if (!shelf.data || (version !== undefined && !older.data)) return <Skeleton rows={10} />;
  const text = older.data?.text ?? shelf.data.version.text;
  return (
    <Desk name={name} newest={shelf.data.newest} text={text} fresh={false} editable={shelf.data.may_edit} />
  );
}

function Desk({
  name,
  newest,
  text,
  fresh,
  editable = true,
}: {
  name: string;
  newest: number;
  text: string;
  fresh: boolean;
  editable?: boolean;
}) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const [typed, setTyped] = useState(text);
  const [comment, setComment] = useState("");
  useTitle(name || "A new pipeline");
  const dirty = fresh || typed !== text;
  const save = useMutation({
    mutationFn: () =>
      fresh
        ? taken(
            api.POST("/api/v1/pipelines", {
              body: { text: typed, comment, expected: 0, keep_folder: false },
            }),
          )
        : taken(
            api.PUT("/api/v1/pipelines/{name}", {
              params: { path: { name } },
              body: { text: typed, comment, expected: newest, keep_folder: true },
            }),
          ),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["pipelines"] });
      await navigate({ to: "/pipelines/edit", search: { name: made.name }, replace: true });
    },
  });
  return (
    <>
      <TopBar>
        <Link to="/pipelines">Pipelines</Link>
        <Icon name="cr" />
        <b>{name || "A new pipeline"}</b>
      </TopBar>
      <h1 className="vh">{name || "A new pipeline"}</h1>
      <Workbench
        text={typed}
        project=""
        readOnly={!editable}
        onChange={setTyped}
        onSave={() => dirty && save.mutate()}
        bar={(wrong) => (
          <>
            <span className="m2 small">{fresh ? "not kept yet" : `version ${newest}`}</span>
            <span className="grow" />
            {save.error ? <ProblemNote error={save.error} /> : null}
            {name ? (
              <Link className="btn sm" to="/projects/new" search={{ pipeline: name }}>
                New project with it
              </Link>
            ) : null}
            <input
              className="in narrow"
              aria-label="What changed"
              placeholder="what changed"
              value={comment}
              maxLength={200}
              onChange={(event) => setComment(event.target.value)}
            />
            <Button
              small
              look="primary"
              disabled={!dirty || wrong || !editable}
              busy={save.isPending}
              hotkey="Ctrl S"
              onClick={() => save.mutate()}
            >
              {fresh ? "Keep it" : `Save as version ${newest + 1}`}
            </Button>
          </>
        )}
        side={name ? <Versions name={name} /> : null}
      />
    </>
  );
}

function Versions({ name }: { name: string }) {
  const versions = useQuery({
    queryKey: ["pipelines", name, "versions"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}/versions", { params: { path: { name } }, signal })),
  });
  return (
    <Panel title="Versions">
      <ul className="problems">
        {(versions.data?.items ?? []).map((version) => (
          <li key={version.number}>
            <b>{version.number}</b>
            <span>
              <Link to="/pipelines/edit" search={{ name, version: version.number }}>
                {version.comment || version.title || "without a comment"}
              </Link>{" "}
              <span className="small m3">
                {version.author}, <Ago at={version.made} />
              </span>
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
