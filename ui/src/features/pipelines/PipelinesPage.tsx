/** The pipelines that projects are made from: used how often, how well they go, and examples to begin with. */
import { Menu } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count, percent, plural } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Bar, Button, Empty, Panel, Skeleton, Tag } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";
import { type Example, examplesQuery, shelvesQuery, takeExample } from "@/shared/examples.ts";
import { tellFailure } from "@/shared/project.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import "./pipelines.css";

type Shelf = components["schemas"]["ShelfView"];

export function PipelinesPage() {
  useTitle("Pipelines");
  const [text, setText] = useState("");
  const shelves = useQuery(shelvesQuery);
  const items = shelves.data?.items ?? [];
  const wanted = text.trim().toLowerCase();
  const shown = items.filter((s) => `${s.name}\n${s.title}\n${s.description}`.toLowerCase().includes(wanted));
  return (
    <>
      <TopBar>
        <b>Pipelines</b> <span className="m3">{shelves.data ? count(items.length) : ""}</span>
      </TopBar>
      <h1 className="vh">Pipelines</h1>
      <div className="page col gap pipelines">
        <div className="row wrap">
          {items.length > 5 ? (
            <input
              className="in narrow"
              aria-label="Filter pipelines"
              placeholder="name or title"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          ) : null}
          <span className="grow" />
          <NewPipeline />
        </div>
        {shelves.error ? <ProblemPage error={shelves.error} again={() => void shelves.refetch()} /> : null}
        {!shelves.data && !shelves.error ? <Skeleton rows={4} height={52} /> : null}
        {shelves.data && !items.length ? (
          <Empty icon="pipelines" title="No pipelines yet" action={<NewPipeline />}>
            Begin with an example, write your own, or bring a folder with <code>winslow submit FOLDER</code>.
          </Empty>
        ) : null}
        {items.length && !shown.length ? <p className="m2">None is called like that.</p> : null}
        {shown.length ? <List items={shown} /> : null}
        <Examples shelves={items} />
        <Trashed />
      </div>
    </>
  );
}

/** Empty, or from an example, which says beforehand what it shows. */
function NewPipeline() {
  const navigate = useNavigate();
  const examples = useQuery(examplesQuery);
  const begin = useMutation({
    mutationFn: async (example: Example) => {
      // code has to be kept before anything can be written about it
      if (example.code) await takeExample(example.name);
      return example.code ? { name: example.name } : { example: example.name };
    },
    onSuccess: (search) => navigate({ to: "/pipelines/edit", search }),
    onError: tellFailure("The example could not be taken"),
  });
  return (
    <Menu position="bottom-end" width={420}>
      <Menu.Target>
        <Button look="primary" icon="plus">
          New pipeline
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item
          renderRoot={(props: object) => <Link {...props} to="/pipelines/edit" search={{}} />}
          className="example"
        >
          <b>Empty</b>
          <span className="small m2">One stage that prints something.</span>
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>Start from an example</Menu.Label>
        {(examples.data?.items ?? []).map((example) => (
          <Menu.Item key={example.name} className="example" onClick={() => begin.mutate(example)}>
            <b>{example.title}</b>
            <span className="small m2">{example.description}</span>
          </Menu.Item>
        ))}
        {examples.error ? <Menu.Label>The examples cannot be had just now.</Menu.Label> : null}
      </Menu.Dropdown>
    </Menu>
  );
}

function List({ items }: { items: Shelf[] }) {
  return (
    <table className="tbl shelves">
      <thead>
        <tr>
          <th>Pipeline</th>
          <th className="num">Version</th>
          <th className="num">Stages</th>
          <th className="num">Projects</th>
          <th className="num">Succeeded</th>
          <th>Changed</th>
          <th>By</th>
        </tr>
      </thead>
      <tbody>
        {items.map((shelf) => (
          <tr key={shelf.name}>
            <td>
              <Link to="/pipelines/$name" params={{ name: shelf.name }}>
                <b>{shelf.title || shelf.name}</b>
              </Link>{" "}
              <Tag>{shelf.name}</Tag>
              {shelf.description ? <p className="small m2 about">{shelf.description}</p> : null}
            </td>
            <td className="num" data-label={shelf.newest === 1 ? "version" : "versions"}>
              {shelf.newest}
            </td>
            <td className="num" data-label={shelf.stages === 1 ? "stage" : "stages"}>
              {count(shelf.stages)}
            </td>
            <td className="num" data-label={shelf.projects === 1 ? "project" : "projects"}>
              <Link to="/projects" search={{ q: `pipeline:${shelf.name}` }}>
                {count(shelf.projects)}
              </Link>
            </td>
            <td className="num nowrap" data-label="of stages succeeded">
              <Rate part={shelf.succeeded} />
            </td>
            <td className="m2 nowrap">
              <Ago at={shelf.updated} />
            </td>
            <td className="m2">{shelf.author}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Rate({ part }: { part: number | null | undefined }) {
  if (part == null) return <span title="Nothing has ended yet">–</span>;
  return (
    <span className="rate" title="Of the stages that ended by themselves">
      <Bar used={part} of={1} kind="ok" /> {percent(100 * part)}
    </span>
  );
}

function Examples({ shelves: items }: { shelves: Shelf[] }) {
  const examples = useQuery(examplesQuery);
  const take = useMutation({ mutationFn: takeExample });
  return (
    <Panel title="Examples" about="to begin with">
      {take.error ? <ProblemNote error={take.error} /> : null}
      <ul className="examples">
        {(examples.data?.items ?? []).map((example) => (
          <li key={example.name} className="row wrap">
            <b>{example.title}</b> <span className="m2 grow">{example.description}</span>
            {example.code && items.some((shelf) => shelf.name === example.name) ? (
              <Tag kind="ok">in the library</Tag>
            ) : (
              <Link className="btn sm" to="/projects/new" search={{ example: example.name }}>
                Try it
              </Link>
            )}
            {!example.code ? (
              <Link className="btn sm" to="/pipelines/edit" search={{ example: example.name }}>
                Take it as a start
              </Link>
            ) : items.some((shelf) => shelf.name === example.name) ? null : (
              <Button small busy={take.isPending} onClick={() => take.mutate(example.name)}>
                Take it into the library
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Trashed() {
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const { data } = useQuery({
    queryKey: ["pipelines", "trashed"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines", { params: { query: { trashed: true } }, signal })),
  });
  const restore = useMutation({
    mutationFn: (name: string) =>
      taken(api.POST("/api/v1/pipelines/{name}/restore", { params: { path: { name } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["pipelines"] }),
  });
  const items = data?.items ?? [];
  if (!items.length) return null;
  if (!open)
    return (
      <p>
        <Button small look="ghost" icon="trash" onClick={() => setOpen(true)}>
          {plural(items.length, "pipeline")} in the trash
        </Button>
      </p>
    );
  return (
    <Panel title="In the trash" about="versions are kept">
      {restore.error ? <ProblemNote error={restore.error} /> : null}
      <ul className="col">
        {items.map((shelf) => (
          <li key={shelf.name} className="row">
            <b>{shelf.title || shelf.name}</b> <Tag>{shelf.name}</Tag>
            <span className="small m2">
              {plural(shelf.newest, "version")}, put there <Ago at={shelf.trashed ?? shelf.updated} />
            </span>
            <span className="grow" />
            {shelf.may_edit ? (
              <Button small busy={restore.isPending} onClick={() => restore.mutate(shelf.name)}>
                Take it back
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
