/** A new project: a pipeline, its values, a name. The input is picked or brought right here. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, newKey, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note, Skeleton, Tag } from "@/design/parts.tsx";
import { bringClip, type Example, examplesQuery, shelvesQuery, takeExample } from "@/shared/examples.ts";
import { useKept } from "@/shared/kept.ts";
import { FILES, mistakeIn, ParameterInput } from "@/shared/ParameterInput.tsx";
import { projectQuery } from "@/shared/project.ts";
import { queries } from "@/shared/queries.ts";
import { shelfQuery } from "@/shared/shelf.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { type Draft, FRESH, nameOf, sentOf } from "./draft.ts";
import "./create.css";

type Pipeline = components["schemas"]["Pipeline"];
type Choice = components["schemas"]["PipelineChoice"];

export interface CreateSearch {
  pipeline?: string;
  example?: string;
}

interface Chosen {
  choice: Partial<Choice>;
  pipeline: Pipeline;
}

export function NewProjectPage() {
  const search = useSearch({ from: "/inside/projects/new" });
  const navigate = useNavigate();
  useTitle("New project");
  const shelves = useQuery(shelvesQuery);
  const examples = useQuery(examplesQuery);
  const choose = (next: CreateSearch) => void navigate({ to: "/projects/new", search: next, replace: true });
  const items = shelves.data?.items ?? [];
  const only = items.length === 1 && !search.pipeline && !search.example ? items[0]?.name : undefined;
  const offered = (examples.data?.items ?? []).filter(
    (example) => !example.code || !items.some((shelf) => shelf.name === example.name),
  );
  const example = offered.find((each) => each.name === search.example);
  const name = search.pipeline ?? only;
  return (
    <>
      <TopBar>
        <a href="/projects">Projects</a>
        <Icon name="cr" />
        <b>New project</b>
      </TopBar>
      <div className="page create">
        <h1>New project</h1>
        <p className="sub">
          A project is one video, or one of whatever you work on, on its way through a pipeline.
        </p>
        {shelves.error ? <ProblemNote error={shelves.error} again={() => void shelves.refetch()} /> : null}
        {!shelves.data || !examples.data ? (
          <Skeleton rows={3} />
        ) : (
          <section className="part">
            <h2>Pipeline</h2>
            <div className="choices" role="radiogroup" aria-label="Pipeline">
              {items.map((shelf) => (
                <label key={shelf.name} className="choice">
                  <span className="row">
                    <input
                      type="radio"
                      name="pipeline"
                      checked={name === shelf.name}
                      onChange={() => choose({ pipeline: shelf.name })}
                    />
                    <b>{shelf.title || shelf.name}</b> <Tag>{`${shelf.name}@${shelf.newest}`}</Tag>
                  </span>
                  <span className="small m2">
                    {shelf.description || plural(shelf.stages, "stage")}
                    {shelf.projects
                      ? `${shelf.description ? "" : ","} ${shelf.description ? "Used" : "used"} by ${plural(shelf.projects, "project")}`
                      : ""}
                  </span>
                </label>
              ))}
              {offered.map((example) => (
                <label key={example.name} className="choice">
                  <span className="row">
                    <input
                      type="radio"
                      name="pipeline"
                      checked={search.example === example.name}
                      onChange={() => choose({ example: example.name })}
                    />
                    <b>{example.title}</b> <Tag kind="line">example</Tag>
                  </span>
                  <span className="small m2">{example.description}</span>
                </label>
              ))}
            </div>
          </section>
        )}
        {name ? <FromLibrary key={name} name={name} /> : null}
        {example?.code ? (
          <Take example={example} onTaken={() => choose({ pipeline: example.name })} />
        ) : example ? (
          <FromText key={example.name} name={example.name} text={example.text} />
        ) : null}
      </div>
    </>
  );
}

function FromLibrary({ name }: { name: string }) {
  const shelf = useQuery(shelfQuery(name));
  if (shelf.error) return <ProblemNote error={shelf.error} again={() => void shelf.refetch()} />;
  if (!shelf.data) return <Skeleton rows={4} />;
  return (
    <Filled
      what={name}
      chosen={{
        choice: { library: name, version: shelf.data.version.number },
        pipeline: shelf.data.version.pipeline,
      }}
    />
  );
}

function Take({ example, onTaken }: { example: Example; onTaken: () => void }) {
  const take = useMutation({ mutationFn: () => takeExample(example.name), onSuccess: onTaken });
  return (
    <section className="part">
      <h2>Values</h2>
      <div className="col gap">
        <p>It comes with the code that its stages run, and is taken into the library for that.</p>
        {example.needs ? (
          <Note kind="ask" icon="warn">
            <b>Before it can run here:</b> {example.needs}.
          </Note>
        ) : null}
        {take.error ? <ProblemNote error={take.error} /> : null}
        <div>
          <Button look="primary" busy={take.isPending} onClick={() => take.mutate()}>
            Take it into the library
          </Button>
        </div>
      </div>
    </section>
  );
}

/** Of a pipeline that was an example: the video that came with it. */
function Clip({ pipeline, onBrought }: { pipeline: string; onBrought: (path: string) => void }) {
  const examples = useQuery(examplesQuery);
  const bring = useMutation({ mutationFn: () => bringClip(pipeline), onSuccess: onBrought });
  if (!examples.data?.items.some((each) => each.name === pipeline && each.clip)) return null;
  return (
    <>
      <Button small look="ghost" icon="video" busy={bring.isPending} onClick={() => bring.mutate()}>
        Use the sample clip
      </Button>
      {bring.error ? <ProblemNote error={bring.error} /> : null}
    </>
  );
}

function FromText({ name, text }: { name: string; text: string }) {
  const checked = useQuery({
    queryKey: ["pipelines", "validate", text],
    queryFn: ({ signal }) =>
      taken(api.POST("/api/v1/pipelines/validate", { body: { text, project: "", pipeline: "" }, signal })),
    enabled: !!text,
  });
  if (checked.error) return <ProblemNote error={checked.error} />;
  if (!checked.data?.pipeline) return <Skeleton rows={4} />;
  return <Filled what={`example.${name}`} chosen={{ choice: { text }, pipeline: checked.data.pipeline }} />;
}

/** `what`: under which it is found again when it is left and come back to. */
function Filled({ what, chosen }: { what: string; chosen: Chosen }) {
  const { pipeline } = chosen;
  const navigate = useNavigate();
  const [key] = useState(newKey);
  const keeping = useKept<Draft>(`create.${what}`, () => FRESH);
  const draft = keeping.value;
  const put = (next: Partial<Draft>) => keeping.put({ ...draft, ...next });
  const setValue = (of: string, value: string) => put({ values: { ...draft.values, [of]: value } });
  const [secrets, setSecrets] = useState<Record<string, string>>({});
  const [touched, setTouched] = useState<Record<string, boolean>>({});
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState("");
  const parameters = Object.entries(pipeline.parameters ?? {});
  const textOf = (of: string) => draft.values[of] ?? pipeline.parameters?.[of]?.default ?? "";
  const mistakes = Object.fromEntries(
    parameters.map(([n, p]) => [n, mistakeIn(p, textOf(n), p.default == null)]),
  );
  const wrong = parameters.filter(([n]) => mistakes[n]).map(([n]) => n);
  const file = parameters.find(([, p]) => FILES.includes(p.kind))?.[0];

  const create = async (start: boolean) => {
    setBusy(start ? "start" : "make");
    setError(null);
    try {
      const made = await taken(
        api.POST("/api/v1/projects", {
          params: { header: { "Idempotency-Key": key } },
          body: {
            ...sentOf(draft, pipeline, file),
            pipeline: chosen.choice as Choice,
            secrets: Object.fromEntries(Object.entries(secrets).filter(([, v]) => v)),
            priority: 50,
            sweeps: {},
            driver: "",
            start,
          },
        }),
      );
      keeping.done();
      queries.setQueryData(projectQuery(made.id).queryKey, made);
      await navigate({ to: "/projects/$project", params: { project: made.id } });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy("");
    }
  };
  const anew = () => {
    keeping.anew();
    setSecrets({});
    setTouched({});
    setError(null);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTouched(Object.fromEntries(parameters.map(([n]) => [n, true])));
    if (!wrong.length) void create(true);
  };
  return (
    <form onSubmit={submit} noValidate className="col create-form">
      {keeping.found ? (
        <Note
          action={
            <Button small onClick={anew}>
              Begin anew
            </Button>
          }
        >
          As you left it: nothing of it was sent.
          {Object.keys(pipeline.secrets ?? {}).length ? " Secrets are not kept: enter them again." : ""}
        </Note>
      ) : null}
      <section className="part">
        <h2>Values</h2>
        <div>
          {parameters.map(([each, parameter]) => {
            const id = `value-${each}`;
            return (
              <div key={each} className="create-value">
                <label htmlFor={id}>
                  <span>{parameter.title || each}</span>
                  <code>{each}</code>
                </label>
                <div>
                  <ParameterInput
                    id={id}
                    parameter={parameter}
                    value={textOf(each)}
                    bad={!!touched[each] && !!mistakes[each]}
                    onBlur={() => setTouched((old) => ({ ...old, [each]: true }))}
                    onChange={(value) => setValue(each, value)}
                  />
                  {each === file && chosen.choice.library ? (
                    <Clip pipeline={chosen.choice.library} onBrought={(path) => setValue(each, path)} />
                  ) : null}
                  {touched[each] && mistakes[each] ? <span className="err">{mistakes[each]}</span> : null}
                </div>
                <p id={`${id}-help`} className="help">
                  {parameter.help}
                </p>
              </div>
            );
          })}
          {parameters.length ? null : <p className="m2">This pipeline asks for nothing.</p>}
        </div>
      </section>
      {Object.keys(pipeline.secrets ?? {}).length ? (
        <section className="part">
          <h2>Secrets</h2>
          <div>
            {Object.entries(pipeline.secrets ?? {}).map(([each, secret]) => (
              <div key={each} className="create-value">
                <label htmlFor={`secret-${each}`}>
                  <span>{each}</span>
                </label>
                <input
                  id={`secret-${each}`}
                  className="in"
                  type="password"
                  autoComplete="off"
                  value={secrets[each] ?? ""}
                  onChange={(event) => setSecrets({ ...secrets, [each]: event.target.value })}
                />
                <p className="help">
                  {secret.required === false ? "Not needed. " : ""}Encrypted at once, never shown again.
                </p>
              </div>
            ))}
          </div>
        </section>
      ) : null}
      <section className="part">
        <h2>
          <label htmlFor="name">Name</label>
        </h2>
        <input
          id="name"
          className="in"
          value={nameOf(draft, file)}
          maxLength={200}
          placeholder={pipeline.title || pipeline.name}
          onChange={(event) => put({ name: event.target.value })}
        />
      </section>
      <section className="part">
        <h2>
          <label htmlFor="tags">Tags</label>
        </h2>
        <input
          id="tags"
          className="in"
          value={draft.tags}
          placeholder="b14-campaign rush-hour"
          onChange={(event) => put({ tags: event.target.value })}
        />
      </section>
      {error ? <ProblemNote error={error} /> : null}
      <div className="row">
        <Button look="primary" icon="play" type="submit" busy={!!busy}>
          Create and start {pipeline.stages[0]?.id}
        </Button>
        <Button disabled={!!busy} onClick={() => void create(false)}>
          Create only
        </Button>
      </div>
    </form>
  );
}
