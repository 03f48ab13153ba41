/** Write a pipeline of the library: each save is a new version, and none is ever changed. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton } from "@/design/parts.tsx";
import { Clash, DraftTag } from "@/shared/Clash.tsx";
import { useDraft } from "@/shared/drafts.ts";
import { shelfQuery } from "@/shared/shelf.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { Workbench } from "@/shared/Workbench.tsx";

export interface EditSearch {
  name?: string;
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
  if (search.name) return <Kept key={search.name} name={search.name} />;
  if (search.example && examples.error)
    return <Failed error={examples.error} again={() => void examples.refetch()} />;
  if (search.example && !examples.data) return <Skeleton rows={10} />;
  const example = examples.data?.items.find((e) => e.name === search.example);
  return <Fresh key={search.example ?? ""} example={search.example ?? ""} text={example?.text ?? FIRST} />;
}

function Failed({ error, again }: { error: unknown; again?: () => void }) {
  return (
    <div className="page">
      <ProblemPage error={error} {...(again ? { again } : {})} />
    </div>
  );
}

function Kept({ name }: { name: string }) {
  const shelf = useQuery(shelfQuery(name));
  if (shelf.error && !shelf.data) return <Failed error={shelf.error} again={() => void shelf.refetch()} />;
  if (!shelf.data) return <Skeleton rows={10} />;
  const { newest, version, may_edit } = shelf.data;
  return (
    <Desk
      what={`pipeline.${name}`}
      name={name}
      kept={{ text: version.text, mark: newest }}
      editable={may_edit}
      author={version.author}
    />
  );
}

/** A draft of one that nobody has kept yet; of the text that it begins with nothing has to be changed to keep it. */
function Fresh({ example, text }: { example: string; text: string }) {
  return <Desk what={`new.${example}`} name="" kept={{ text, mark: 0 }} editable author="" />;
}

function Desk({
  what,
  name,
  kept,
  editable,
  author,
}: {
  what: string;
  /** empty: it is new */
  name: string;
  kept: { text: string; mark: number };
  editable: boolean;
  author: string;
}) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const typing = useDraft(what, kept);
  const [comment, setComment] = useState("");
  const fresh = !name;
  useTitle(name || "A new pipeline");
  const dirty = fresh || !!typing.draft;
  const save = useMutation({
    mutationFn: (text: string) => {
      const body = { text, comment, expected: kept.mark, keep_folder: !fresh };
      return fresh
        ? taken(api.POST("/api/v1/pipelines", { body }))
        : taken(api.PUT("/api/v1/pipelines/{name}", { params: { path: { name } }, body }));
    },
    onSuccess: async (made, text) => {
      if (!fresh)
        client.setQueryData(shelfQuery(name).queryKey, (old) =>
          old ? { ...old, newest: made.number, version: made } : old,
        );
      typing.saved(text);
      setComment("");
      await client.invalidateQueries({ queryKey: ["pipelines"] });
      if (fresh) await navigate({ to: "/pipelines/edit", search: { name: made.name }, replace: true });
    },
    onError: () => client.invalidateQueries({ queryKey: shelfQuery(name).queryKey }),
  });
  // that somebody was quicker is said by the clash, once what they wrote is here
  const told = save.error && asProblem(save.error).code !== "pipeline.changed" ? save.error : null;
  return (
    <>
      <TopBar>
        <Link to="/pipelines">Pipelines</Link>
        <Icon name="cr" />
        {name ? (
          <>
            <Link to="/pipelines/$name" params={{ name }}>
              {name}
            </Link>
            <Icon name="cr" />
            <b>Edit</b>
          </>
        ) : (
          <b>A new pipeline</b>
        )}
      </TopBar>
      <h1 className="vh">{name || "A new pipeline"}</h1>
      <Workbench
        text={typing.text}
        kept={
          fresh && !typing.draft
            ? null
            : { name: fresh ? "example" : `version ${kept.mark}`, text: kept.text }
        }
        of={{ pipeline: name }}
        readOnly={!editable}
        onChange={typing.type}
        onSave={() => dirty && !typing.clash && !save.isPending && save.mutate(typing.text)}
        notice={
          <>
            {told ? <ProblemNote error={told} /> : null}
            <Clash typing={typing}>
              {author} kept version {kept.mark} while you typed. Nothing of yours was saved, and nothing is
              lost.
            </Clash>
          </>
        }
        bar={(wrong) => (
          <>
            <b>{name || "A new pipeline"}</b>
            {fresh ? <span className="small m2">not kept yet</span> : null}
            {fresh || typing.draft ? null : <span className="small m2">version {kept.mark}</span>}
            <DraftTag typing={typing} />
            <span className="grow" />
            {typing.draft && editable ? (
              <Button small look="ghost" onClick={typing.drop}>
                Throw away
              </Button>
            ) : null}
            {editable ? (
              <>
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
                  disabled={!dirty || wrong || typing.clash}
                  busy={save.isPending}
                  hotkey="Ctrl S"
                  onClick={() => save.mutate(typing.text)}
                >
                  {fresh ? "Keep it" : `Publish version ${kept.mark + 1}`}
                </Button>
              </>
            ) : (
              <span className="small m2">Its author may change it, and who shares it.</span>
            )}
          </>
        )}
        side={
          <p className="small m2">
            A version is never changed. Projects keep the copy that they were made with, until somebody gives
            them another.
          </p>
        }
      />
    </>
  );
}
