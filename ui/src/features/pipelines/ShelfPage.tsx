/** One pipeline of the library: who uses it, how its stages go, what changed from version to version. */
import { Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count, duration, percent, plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Bar, Button, Panel, Skeleton, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { type State, StateTag } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { Diff } from "@/shared/Diff.tsx";
import { PipelineGraph } from "@/shared/PipelineGraph.tsx";
import { shelfQuery } from "@/shared/shelf.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { versionQuery, versionsQuery } from "./queries.ts";
import "./pipelines.css";

export interface ShelfSearch {
  /** the later one of the two that are compared */
  version?: number;
  against?: number;
}

type One = components["schemas"]["OneShelf"];
type VersionRow = components["schemas"]["VersionRow"];
const NEWEST = 8; // projects that are shown; the list has the rest

export function ShelfPage() {
  const { name } = useParams({ from: "/inside/pipelines/$name" });
  const { data: shelf, error, refetch } = useQuery(shelfQuery(name));
  useTitle(shelf?.title || name);
  return (
    <>
      <TopBar>
        <Link to="/pipelines">Pipelines</Link>
        <Icon name="cr" />
        <b>{name}</b>
      </TopBar>
      {error && !shelf ? (
        <div className="page">
          <ProblemPage error={error} again={() => void refetch()} />
        </div>
      ) : shelf ? (
        <Shelf shelf={shelf} />
      ) : (
        <div className="page">
          <Skeleton rows={6} />
        </div>
      )}
    </>
  );
}

function Shelf({ shelf }: { shelf: One }) {
  const [deleting, setDeleting] = useState(false);
  return (
    <div className="page shelf">
      <header className="row wrap shelf-head">
        <div className="grow">
          <h1>
            {shelf.title || shelf.name} <Tag>version {shelf.newest}</Tag>
          </h1>
          <p className="m2">
            {shelf.description ? `${shelf.description} ` : ""}
            By {shelf.author}, changed <Ago at={shelf.updated} />.
          </p>
        </div>
        {shelf.may_edit ? (
          <Button icon="trash" look="ghost" onClick={() => setDeleting(true)}>
            Delete…
          </Button>
        ) : null}
        <Link className="btn" to="/pipelines/edit" search={{ name: shelf.name }}>
          <Icon name="edit" /> {shelf.may_edit ? "Edit" : "Read"}
        </Link>
        <Link className="btn primary" to="/projects/new" search={{ pipeline: shelf.name }}>
          New project with it…
        </Link>
      </header>
      <Panel title="Stages" about={plural(shelf.stages, "stage")}>
        <PipelineGraph stages={shelf.version.pipeline.stages.map((s) => ({ ...s, needs: s.needs ?? [] }))} />
        <Durations shelf={shelf} />
      </Panel>
      <Usage name={shelf.name} projects={shelf.projects} succeeded={shelf.succeeded ?? null} />
      <Versions shelf={shelf} />
      {deleting ? <Delete shelf={shelf} onClose={() => setDeleting(false)} /> : null}
    </div>
  );
}

function Durations({ shelf }: { shelf: One }) {
  const rows = shelf.version.pipeline.stages.map((stage) => ({ stage, usual: shelf.typical[stage.id] }));
  const longest = Math.max(0, ...rows.map((r) => r.usual?.p90 ?? r.usual?.median ?? 0));
  const time = (seconds: number | null | undefined) => (seconds == null ? "–" : duration(seconds * 1000));
  return (
    <div ref={sideways} className="scroll-x">
      <table className="tbl">
        <thead>
          <tr>
            <th>Stage</th>
            <th className="num">Ended</th>
            <th className="num">Succeeded</th>
            <th className="num">Usually takes</th>
            <th>
              <span className="vh">Compared</span>
            </th>
            <th className="num">9 in 10 under</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ stage, usual }) => {
            const ended = usual?.ended ?? {};
            const good = ended.succeeded ?? 0;
            const own = good + (ended.failed ?? 0);
            return (
              <tr key={stage.id}>
                <td>
                  {stage.id} <span className="small m2">{stage.title}</span>
                </td>
                <td className="num">{count(Object.values(ended).reduce((a, b) => a + b, 0))}</td>
                <td className="num">{own ? percent((100 * good) / own) : "–"}</td>
                <td className="num">{time(usual?.median)}</td>
                <td className="bar-cell">
                  {usual?.median == null ? null : <Bar used={usual.median} of={longest} kind="rest" />}
                </td>
                <td className="num">{time(usual?.p90)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Usage({ name, projects, succeeded }: { name: string; projects: number; succeeded: number | null }) {
  const { data, error } = useQuery({
    queryKey: ["projects", "of-pipeline", name],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects", {
          params: { query: { pipeline: [name], limit: NEWEST } },
          signal,
        }),
      ),
  });
  return (
    <Panel
      title="Projects"
      about={`${plural(projects, "project")} with a copy, ${
        succeeded === null ? "nothing has ended yet" : `${percent(100 * succeeded)} of stages succeeded`
      }`}
      actions={
        projects ? (
          <Link className="btn ghost sm" to="/projects" search={{ q: `pipeline:${name}` }}>
            All in the list
          </Link>
        ) : null
      }
    >
      {error ? <ProblemNote error={error} /> : null}
      {projects ? (
        <ul className="col">
          {(data?.items ?? []).map((row) => (
            <li key={row.id} className="row">
              <StateTag state={row.state as State} />
              <Link to="/projects/$project" params={{ project: row.id }}>
                {row.name}
              </Link>
              <span className="grow" />
              <span className="small m2 nowrap">
                {row.author}, <Ago at={row.updated} />
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <p className="m2">None of yours has a copy of it.</p>
      )}
    </Panel>
  );
}

function Versions({ shelf }: { shelf: One }) {
  const search = useSearch({ from: "/inside/pipelines/$name" });
  const navigate = useNavigate();
  const { data, error } = useQuery(versionsQuery(shelf.name));
  const items = data?.items ?? [];
  const chosen = items.find((v) => v.number === search.version)?.number ?? shelf.newest;
  const against = items.find((v) => v.number === search.against)?.number ?? Math.max(1, chosen - 1);
  const show = (next: ShelfSearch) =>
    void navigate({
      to: "/pipelines/$name",
      params: { name: shelf.name },
      search: { version: chosen, ...next },
      replace: true,
      resetScroll: false,
    });
  return (
    <Panel title="Versions" about={data ? `${count(items.length)}, none is ever changed` : ""}>
      {error ? <ProblemNote error={error} /> : null}
      <div className="versions">
        <ol aria-label="Versions, newest first">
          {items.map((version) => (
            <li key={version.number}>
              <button
                type="button"
                aria-current={version.number === chosen ? "true" : undefined}
                onClick={() => show({ version: version.number, against: undefined })}
              >
                <b>{version.number}</b>
                <span>
                  {version.comment || <span className="m2">without a comment</span>}
                  <span className="small m2">
                    {version.author}, <Ago at={version.made} />
                  </span>
                </span>
              </button>
            </li>
          ))}
        </ol>
        {items.length ? (
          <div className="version">
            <div className="row wrap version-bar">
              <label className="row small" hidden={items.length < 2}>
                compared with
                <select
                  className="in narrow"
                  value={against}
                  onChange={(event) => show({ against: Number(event.target.value) })}
                >
                  {items.map((version) => (
                    <option key={version.number} value={version.number}>
                      version {version.number}
                    </option>
                  ))}
                </select>
              </label>
              <span className="grow" />
              {shelf.may_edit && chosen !== shelf.newest ? (
                <Again shelf={shelf} number={chosen} done={(number) => show({ version: number })} />
              ) : null}
            </div>
            <Compared name={shelf.name} left={against} right={chosen} rows={items} />
          </div>
        ) : null}
      </div>
    </Panel>
  );
}

function Compared({
  name,
  left,
  right,
  rows,
}: {
  name: string;
  left: number;
  right: number;
  rows: VersionRow[];
}) {
  const before = useQuery(versionQuery(name, left));
  const after = useQuery(versionQuery(name, right));
  const error = before.error ?? after.error;
  if (error) return <ProblemNote error={error} />;
  if (!before.data || !after.data) return <Skeleton rows={6} height={20} />;
  if (left === right)
    return (
      <section className="diff" aria-label={`Text of version ${right}`}>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys */}
        <pre className="diff-lines whole" tabIndex={0}>
          {after.data.text}
        </pre>
      </section>
    );
  const folder = (number: number) => rows.find((v) => v.number === number)?.folder ?? null;
  return (
    <>
      {folder(left) !== folder(right) ? (
        <p className="small m2">The code in its folder differs as well.</p>
      ) : null}
      <Diff
        key={`${left}-${right}`}
        before={before.data.text}
        after={after.data.text}
        left={`version ${left}`}
        right={`version ${right}`}
      />
    </>
  );
}

function Again({ shelf, number, done }: { shelf: One; number: number; done: (number: number) => void }) {
  const client = useQueryClient();
  const restore = useMutation({
    mutationFn: () =>
      taken(
        api.POST("/api/v1/pipelines/{name}/versions/{number}/restore", {
          params: { path: { name: shelf.name, number } },
          body: { expected: shelf.newest, comment: "" },
        }),
      ),
    onSuccess: async (made) => {
      await client.invalidateQueries({ queryKey: ["pipelines"] });
      done(made.number);
    },
    onError: () => client.invalidateQueries({ queryKey: shelfQuery(shelf.name).queryKey }),
  });
  return (
    <>
      {restore.error ? <ProblemNote error={restore.error} /> : null}
      <Button small icon="redo" busy={restore.isPending} onClick={() => restore.mutate()}>
        Publish version {number} again as {shelf.newest + 1}
      </Button>
    </>
  );
}

function Delete({ shelf, onClose }: { shelf: One; onClose: () => void }) {
  const navigate = useNavigate();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      taken(api.DELETE("/api/v1/pipelines/{name}", { params: { path: { name: shelf.name } } })),
    onSuccess: async () => {
      await navigate({ to: "/pipelines" });
      await client.invalidateQueries({ queryKey: ["pipelines"] });
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Put ${shelf.name} into the trash?`}>
      <div className="col gap">
        <ul className="consequences">
          <li>
            {shelf.projects
              ? `${plural(shelf.projects, "project")} of those you see ${shelf.projects === 1 ? "keeps its" : "keep their"} own copy; what runs, runs on.`
              : "No project of those you see has a copy of it."}
          </li>
          <li>No new project can be made of it, and charts kept with it are not shown.</li>
          <li>
            Its {plural(shelf.newest, "version")} stay. It can be taken back from the trash on the page of
            pipelines.
          </li>
        </ul>
        {remove.error ? <ProblemNote error={remove.error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger" busy={remove.isPending} onClick={() => remove.mutate()}>
            Put it into the trash
          </Button>
        </div>
      </div>
    </Modal>
  );
}
