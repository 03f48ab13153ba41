/** Run or redo a stage: values with where they come from, sweeps, machine, workspace, and what will happen, before the click. */

import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { count, duration, plural } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Note, Skeleton, Tag } from "@/design/parts.tsx";
import { StateMark } from "@/design/state.tsx";
import { useKept } from "@/shared/kept.ts";
import { useKeys } from "@/shared/keys.ts";
import { numbered, type Project, type StageView, useCommand, useProject } from "@/shared/project.ts";
import { useTitle } from "@/shared/title.ts";
import {
  afterWith,
  baseOf,
  changed,
  changeOf,
  choices,
  commandOf,
  type Draft,
  type Field,
  type Form,
  fresh,
  missing,
  mistake,
  type Resources,
  shellOf,
  textOf,
} from "./draft.ts";
import { Machine } from "./Machine.tsx";
import { Program } from "./Program.tsx";
import { Secrets } from "./Secrets.tsx";
import { ValueField } from "./ValueField.tsx";
import "./run.css";
import { originWord } from "@/shared/origin.ts";

const FEW = 24; // values that are all shown; of more those with a default are folded away

export interface RunSearch {
  redo?: number;
  stage?: string;
  /** a stage that waits in line, to be changed where it stands */
  change?: number;
  /** whose values fill the form */
  from?: number;
}

export function RunPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const search = useSearch({ from: "/inside/projects/$project/run" });
  const { data: project } = useProject(id);
  const begun = useRef("");
  if (!project) return null;
  const redone = project.stages.find((s) => s.number === search.redo);
  const queued = project.stages.find((s) => s.number === search.change);
  if (queued && queued.state !== "queued") return <Begun project={project} stage={queued} />;
  const next =
    project.pipeline.stages.find((s) => s.state === "later")?.definition.id ??
    project.pipeline.stages[0]?.definition.id ??
    "";
  // what comes next changes while somebody fills in the form
  begun.current ||= next;
  const stageId = redone?.id ?? queued?.id ?? search.stage ?? begun.current;
  return (
    <Filled
      key={`${stageId}/${search.redo}/${search.change}/${search.from}`}
      project={project}
      stageId={stageId}
      redo={redone ? redone.number : null}
      change={queued ?? null}
      from={search.from ?? search.redo ?? search.change}
    />
  );
}

/** It has left the line while one was about to change it. */
function Begun({ project, stage }: { project: Project; stage: StageView }) {
  return (
    <Empty
      icon="info"
      title={`${stage.id} ${numbered(stage.number)} no longer waits in line`}
      action={
        <Link className="btn" to="/projects/$project" params={{ project: project.id }}>
          To the project
        </Link>
      }
    >
      It is {stage.word}. Nothing was changed; it can be redone with other values once it has ended.
    </Empty>
  );
}

function Filled({
  project,
  stageId,
  redo,
  change,
  from,
}: {
  project: Project;
  stageId: string;
  redo: number | null;
  change: StageView | null;
  from: number | undefined;
}) {
  const form = useQuery({
    queryKey: ["form", project.id, stageId, from ?? 0],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/form/{stage_id}", {
          params: {
            path: { project: project.id, stage_id: stageId },
            query: from ? { from: String(from) } : {},
          },
          signal,
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  useTitle(`${change ? "Change" : redo !== null ? "Redo" : "Run"} ${stageId} · ${project.name}`);
  if (form.error) return <ProblemPage error={form.error} again={() => void form.refetch()} />;
  if (!form.data) return <Skeleton rows={5} />;
  return <Editor project={project} form={form.data} redo={redo} change={change} />;
}

function Editor({
  project,
  form,
  redo,
  change,
}: {
  project: Project;
  form: Form;
  redo: number | null;
  change: StageView | null;
}) {
  const navigate = useNavigate();
  const command = useCommand(project.id);
  const keeping = useKept<Draft>(
    `run.${project.id}/${form.id}/${redo ?? ""}/${change?.number ?? ""}/${form.blueprint}`,
    () =>
      change
        ? {
            ...fresh(form),
            sweeps: {},
            comment: change.comment ?? "",
            pauseAfter: change.pause_after ?? false,
          }
        : fresh(form),
  );
  const draft = keeping.value;
  const setDraft = keeping.put;
  const [before, setBefore] = useState<Draft[]>([]);
  const [all, setAll] = useState(false);
  const [shell, setShell] = useState(false);
  const put = (next: Partial<Draft>) => {
    setBefore((old) => [...old.slice(-50), draft]);
    setDraft({ ...draft, ...next });
  };
  const size = useSize(project.id, form.id, draft.sweeps);
  const total = Object.keys(draft.sweeps).length ? (size.data?.total ?? 0) : 1;
  const lacking = missing(form, draft);
  const wrong = form.fields.filter((f) => !(f.name in draft.sweeps) && mistake(f, textOf(f, draft)));
  const ready = !lacking.length && !wrong.length && !size.error && total > 0;
  const values = form.fields.filter((f) => f.kind !== "variable");
  const variables = form.fields.filter((f) => f.kind === "variable");
  const own = values.length <= FEW ? values : values.filter((f) => relevant(f) || changed(f, draft));
  const word = change ? "Change" : redo !== null ? "Redo" : "Run";
  const about = change?.number ?? redo;
  const single = soleChange(form, draft);
  const needs = project.pipeline.stages.find((s) => s.definition.id === form.id)?.definition.needs ?? [];

  const send = (event?: FormEvent) => {
    event?.preventDefault();
    if (!ready || command.isPending) return;
    const asked = change
      ? changeOf(form, draft, change.number)
      : commandOf(form, draft, redo, size.data?.grid ?? {});
    command.mutate(asked, {
      onSuccess: () => {
        keeping.done();
        void navigate({ to: "/projects/$project", params: { project: project.id } });
      },
    });
  };
  useKeys("Run", { "Ctrl Enter": { does: `${word} ${form.id}`, act: () => send() } });

  return (
    <form className="run" onSubmit={send} noValidate>
      <div className="run-form">
        <h1>
          {word} {form.id} {about !== null ? <span className="m3">{numbered(about)}</span> : null}
        </h1>
        <p className="sub">
          {change
            ? "It waits in line, and keeps its place."
            : form.blueprint
              ? `Filled in from ${form.id} ${numbered(form.blueprint)}.`
              : "Filled in from the pipeline."}{" "}
          Changed fields are blue.{" "}
          {redo === null && !change ? <StageChoice project={project} stage={form.id} /> : null}
          <BlueprintChoice project={project} form={form} redo={redo} />
        </p>
        {keeping.found ? (
          <Note
            action={
              <Button
                small
                onClick={() => {
                  setBefore([]);
                  keeping.anew();
                }}
              >
                Begin anew
              </Button>
            }
          >
            As you left it: nothing of it was sent.
          </Note>
        ) : null}
        <section className="part" hidden={!values.length}>
          <div>
            <h2>Values</h2>
            <p className="small m2">
              from {project.pipeline.name}
              {project.pipeline.version ? `@${project.pipeline.version}` : ""}
            </p>
          </div>
          <div>
            {(all ? values : own).map((field) => (
              <ValueField
                key={field.name}
                field={field}
                draft={draft}
                grid={size.data?.grid ?? {}}
                alone={!!change}
                onChange={put}
              />
            ))}
            {size.error ? <ProblemNote error={size.error} /> : null}
            {own.length < values.length || all ? (
              <Button small look="ghost" onClick={() => setAll(!all)}>
                {all
                  ? "Only what is needed"
                  : `${plural(values.length - own.length, "more value", "more values")}, with defaults`}
              </Button>
            ) : null}
          </div>
        </section>
        {form.secrets.length ? (
          <section className="part">
            <h2>Secrets</h2>
            <Secrets project={project} form={form} />
          </section>
        ) : null}
        <section className="part">
          <div>
            <h2>Environment</h2>
            <p className="small m2">nearer layers win</p>
          </div>
          <div>
            <Variables fields={variables} draft={draft} onChange={put} />
          </div>
        </section>
        <Program form={form} draft={draft} onChange={put} />
        <Machine
          value={(draft.resources ?? (form.resources.value as Resources)) as Resources}
          inherited={form.resources.inherited as Resources}
          changed={draft.resources !== null}
          onChange={(resources) => put({ resources })}
        />
        <section className="part">
          <h2>Workspace</h2>
          <div className="col gap">
            {redo === null && !change
              ? choices(form, needs).map(({ id, bases }) => (
                  <label key={id} className="row">
                    <span className="m2">Goes on from {id}</span>
                    <select
                      className="in fitting"
                      aria-label={`Goes on from ${id}`}
                      value={baseOf(form, draft.after, id)}
                      onChange={(event) =>
                        put({ after: afterWith(form, needs, draft.after, Number(event.target.value)) })
                      }
                    >
                      {bases.map((base, at) => (
                        <option key={base.number} value={base.number}>
                          {numbered(base.number)}
                          {at ? "" : ", the newest"}
                        </option>
                      ))}
                    </select>
                  </label>
                ))
              : null}
            <div className="choices" role="radiogroup" aria-label="Workspace">
              {workspaces(form, redo).map((each) => (
                <label key={each.value} className="choice">
                  <span className="row">
                    <input
                      type="radio"
                      name="workspace"
                      checked={(draft.workspace ?? (form.workspace.value as string)) === each.value}
                      onChange={() => put({ workspace: each.value })}
                    />
                    {each.title}
                  </span>
                  <span className="small m2">{each.text}</span>
                </label>
              ))}
            </div>
            {total > 1 ? (
              <label className="row">
                <span className="m2">The {count(total)} of them get</span>
                <select
                  className="in fitting"
                  value={draft.sweepWorkspace}
                  onChange={(event) => put({ sweepWorkspace: event.target.value as Draft["sweepWorkspace"] })}
                >
                  <option value="separate">a copy each</option>
                  <option value="shared">one workspace together</option>
                  <option value="nested">one workspace together, with a folder for each</option>
                </select>
              </label>
            ) : null}
          </div>
        </section>
        <section className="part">
          <h2>
            <label htmlFor="why">Why</label>
          </h2>
          <input
            id="why"
            className="in"
            value={draft.comment}
            maxLength={500}
            placeholder="for those who read the history"
            onChange={(event) => put({ comment: event.target.value })}
          />
        </section>
      </div>
      <aside className="run-plan">
        <h2>What will happen</h2>
        {change ? (
          <p className="m2">
            {form.id} {numbered(change.number)} keeps its number and its place in line, and starts with what
            stands here once it is its turn. What runs is left alone.
          </p>
        ) : (
          <Plan
            project={project}
            form={form}
            draft={draft}
            total={total}
            seconds={size.data?.seconds ?? null}
            redo={redo}
          />
        )}
        {total > 1 ? (
          <label className="row">
            <span className="m2">At most at once</span>
            <input
              className="in narrow"
              type="number"
              min={1}
              value={draft.maxRunning}
              onChange={(event) => put({ maxRunning: Math.max(1, Number(event.target.value)) })}
            />
          </label>
        ) : null}
        <label className="row">
          <input
            type="checkbox"
            checked={draft.pauseAfter}
            onChange={(event) => put({ pauseAfter: event.target.checked })}
          />
          Pause when it has succeeded
        </label>
        {change ? null : (
          <label className="row">
            <input
              type="checkbox"
              checked={draft.atOnce}
              onChange={(event) => put({ atOnce: event.target.checked })}
            />
            Start beside what is already lined up
          </label>
        )}
        {project.pause && !change ? (
          <label className="row">
            <input
              type="checkbox"
              checked={draft.keepPaused}
              onChange={(event) => put({ keepPaused: event.target.checked })}
            />
            Only line it up: the project stays paused
          </label>
        ) : null}
        {lacking.length ? (
          <p className="err">
            {lacking.join(", ")} {lacking.length === 1 ? "needs" : "need"} a value.
          </p>
        ) : null}
        {command.error ? <ProblemNote error={command.error} /> : null}
        <div className="row wrap go">
          <Button look="primary" type="submit" hotkey="Ctrl ↵" disabled={!ready} busy={command.isPending}>
            {total > 1
              ? `Enqueue ${count(total)} stages`
              : `${word} ${form.id}${single ? ` with ${single}` : ""}`}
          </Button>
          {change ? null : (
            <Button icon="terminal" aria-pressed={shell} onClick={() => setShell(!shell)}>
              As command
            </Button>
          )}
          <Button
            look="ghost"
            disabled={!before.length}
            onClick={() => {
              const last = before.at(-1);
              if (!last) return;
              setBefore(before.slice(0, -1));
              setDraft(last);
            }}
          >
            Undo
          </Button>
          <Link className="btn ghost" to="/projects/$project" params={{ project: project.id }}>
            Cancel
          </Link>
        </div>
        {shell ? <pre className="shell">{shellOf(project.id, form, draft, redo)}</pre> : null}
      </aside>
    </form>
  );
}

/** A file, what has no default, or what somebody has set before. */
function relevant(field: Field): boolean {
  return (
    field.required ||
    field.origin === "blueprint" ||
    field.origin === "project" ||
    field.parameter?.default == null
  );
}

function soleChange(form: Form, draft: Draft): string {
  const names = form.fields.filter((f) => changed(f, draft));
  return names.length === 1 && names[0] ? `${names[0].name} ${textOf(names[0], draft)}`.slice(0, 40) : "";
}

function useSize(project: string, stage: string, sweeps: Record<string, string>) {
  const text = JSON.stringify(sweeps);
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), 300);
    return () => clearTimeout(timer);
  }, [text]);
  const axes = useMemo(() => JSON.parse(settled) as Record<string, string>, [settled]);
  return useQuery({
    queryKey: ["sweep-size", project, stage, settled],
    queryFn: ({ signal }) =>
      taken(
        api.POST("/api/v1/projects/{project}/sweep-size", {
          params: { path: { project }, query: { stage_id: stage } },
          body: { axes },
          signal,
        }),
      ),
    enabled: Object.keys(axes).length > 0 && Object.values(axes).every(Boolean),
    placeholderData: (old) => old,
    retry: false,
  });
}

/** Any stage of the pipeline can be run at any time. */
function StageChoice({ project, stage }: { project: Project; stage: string }) {
  const navigate = useNavigate();
  if (project.pipeline.stages.length < 2) return null;
  return (
    <label className="inline">
      Stage{" "}
      <select
        className="in fitting"
        aria-label="Stage"
        value={stage}
        onChange={(event) =>
          void navigate({
            to: "/projects/$project/run",
            params: { project: project.id },
            search: { stage: event.target.value },
            replace: true,
          })
        }
      >
        {project.pipeline.stages.map(({ definition }) => (
          <option key={definition.id} value={definition.id}>
            {definition.id}
          </option>
        ))}
      </select>{" "}
    </label>
  );
}

function BlueprintChoice({ project, form, redo }: { project: Project; form: Form; redo: number | null }) {
  const navigate = useNavigate();
  const others = project.stages.filter(
    (s) => s.id === form.id && s.number !== form.blueprint && (s.attempt ?? 0) > 0,
  );
  if (!others.length) return null;
  return (
    <label className="inline">
      Take the values of{" "}
      <select
        className="in narrow"
        value=""
        onChange={(event) =>
          void navigate({
            to: "/projects/$project/run",
            params: { project: project.id },
            search: { ...(redo !== null ? { redo } : { stage: form.id }), from: Number(event.target.value) },
          })
        }
      >
        <option value="">another run</option>
        {others.map((s) => (
          <option key={s.number} value={s.number}>
            {numbered(s.number)} {s.state}
          </option>
        ))}
      </select>
    </label>
  );
}

function workspaces(form: Form, redo: number | null) {
  const base = form.bases.find((b) => b.suggested);
  const found = [
    {
      value: "previous",
      title:
        redo !== null
          ? `As ${form.id} ${numbered(redo)} began`
          : base
            ? `Go on from ${base.id} ${numbered(base.number)}`
            : "From the stage before",
      text: "A copy of what the stage before left.",
    },
    { value: "empty", title: "Empty", text: "Nothing but the inputs." },
  ];
  if (redo !== null && form.blueprint) {
    found.splice(1, 0, {
      value: `#${redo}`,
      title: `Go on from ${numbered(redo)}`,
      text: "A copy of its own workspace, with all it made.",
    });
  }
  const present = form.workspace.value as string;
  if (!found.some((f) => f.value === present))
    found.push({ value: present, title: present, text: "As the pipeline says." });
  return found;
}

function Variables({
  fields,
  draft,
  onChange,
}: {
  fields: Field[];
  draft: Draft;
  onChange: (next: Partial<Draft>) => void;
}) {
  const [name, setName] = useState("");
  const set = (of: string, value: string) => onChange({ values: { ...draft.values, [of]: value } });
  const taken = new Set([...fields.map((f) => f.name), ...draft.added]);
  const row = (of: string, value: string, blue: boolean, origin: string) => (
    <tr key={of}>
      <td className="mono">{of}</td>
      <td>
        <input
          className="in mono"
          aria-label={of}
          value={value}
          onChange={(event) => set(of, event.target.value)}
        />
      </td>
      <td className="num">
        <Tag kind={blue ? "acc" : ""}>{blue ? "this run" : originWord(origin)}</Tag>
      </td>
    </tr>
  );
  return (
    <table className="tbl">
      <thead>
        <tr>
          <th>Name</th>
          <th>Value</th>
          <th className="num">From</th>
        </tr>
      </thead>
      <tbody>
        {fields.map((field) =>
          row(field.name, textOf(field, draft), changed(field, draft), field.origin ?? ""),
        )}
        {draft.added.map((each) => row(each, draft.values[each] ?? "", true, ""))}
        <tr>
          <td colSpan={3}>
            <span className="row">
              <input
                className="in mono narrow"
                placeholder="NAME"
                aria-label="Name of another variable"
                value={name}
                onChange={(event) => setName(event.target.value.toUpperCase().replace(/[^A-Z0-9_]/g, ""))}
              />
              <Button
                small
                icon="plus"
                disabled={!name || taken.has(name)}
                onClick={() => {
                  onChange({ added: [...draft.added, name] });
                  setName("");
                }}
              >
                Variable
              </Button>
            </span>
          </td>
        </tr>
      </tbody>
    </table>
  );
}

function Plan({
  project,
  form,
  draft,
  total,
  seconds,
  redo,
}: {
  project: Project;
  form: Form;
  draft: Draft;
  total: number;
  seconds: number | null;
  redo: number | null;
}) {
  const stale = form.stale
    .map((n) => project.stages.find((s) => s.number === n))
    .filter((s) => s !== undefined);
  const running = project.stages.filter((s) => ["running", "submitted", "preparing"].includes(s.state));
  const typical = form.typical?.median;
  const after = project.pipeline.stages
    .filter((s) => (s.definition.needs ?? []).includes(form.id))
    .map((s) => s.definition.id);
  return (
    <ul className="plan">
      <li>
        <StateMark state="queued" />
        <span>
          <b>{plural(total, "new stage")}</b> of {form.id}
          {total > 1
            ? ""
            : form.bases.length
              ? `, after ${form.bases
                  .filter((b) => draft.after?.includes(b.number) ?? b.suggested)
                  .map((b) => `${b.id} ${numbered(b.number)}`)
                  .join(" and ")}`
              : ""}
          .
        </span>
      </li>
      {typical ? (
        <li>
          <StateMark state="submitted" />
          <span>
            {total > 1 ? "Together about " : "Takes about "}
            <b>{duration((seconds ?? typical * total) * 1000)}</b>, as before.
          </span>
        </li>
      ) : null}
      {total > 1 ? (
        <li>
          <StateMark state="waiting" />
          <span className="ask">
            <b>Then it waits for you</b>: you choose one of the {count(total)}, and{" "}
            {after.join(", ") || "the project"} goes on from it.
          </span>
        </li>
      ) : after.length ? (
        <li>
          <StateMark state="none" />
          <span>Then {after.join(", ")}.</span>
        </li>
      ) : null}
      {redo !== null && stale.length ? (
        <li>
          <StateMark state="idle" />
          <span>
            {stale.map((s) => `${s.id} ${numbered(s.number)}`).join(", ")}{" "}
            {stale.length === 1 ? "becomes" : "become"} stale when it has succeeded; nothing of{" "}
            {stale.length === 1 ? "it" : "them"} is changed.
          </span>
        </li>
      ) : null}
      {running.map((s) => (
        <li key={s.number}>
          <StateMark state="running" />
          <span>
            {s.id} {numbered(s.number)} runs and goes on.
          </span>
        </li>
      ))}
    </ul>
  );
}
