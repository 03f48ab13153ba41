/** The pipelines that projects are made from: used how often, how well they go, and examples to begin with. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { count, percent } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Panel, Skeleton, Tag } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";
import { examplesQuery, shelvesQuery, takeExample } from "@/shared/examples.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";

export function PipelinesPage() {
  useTitle("Pipelines");
  const shelves = useQuery(shelvesQuery);
  const examples = useQuery(examplesQuery);
  const take = useMutation({ mutationFn: takeExample });
  const items = shelves.data?.items ?? [];
  return (
    <>
      <TopBar>
        <b>Pipelines</b> <span className="m3">{shelves.data ? count(items.length) : ""}</span>
      </TopBar>
      <h1 className="vh">Pipelines</h1>
      <div className="page col gap">
        <div className="row">
          <span className="grow" />
          <Link className="btn primary" to="/pipelines/edit" search={{}}>
            Write a pipeline
          </Link>
        </div>
        {shelves.error ? <ProblemPage error={shelves.error} again={() => void shelves.refetch()} /> : null}
        {!shelves.data && !shelves.error ? <Skeleton rows={4} height={52} /> : null}
        {shelves.data && !items.length ? (
          <Empty icon="pipelines" title="No pipelines yet">
            Write one, begin with an example below, or bring a folder with <code>winslow pipeline put</code>.
          </Empty>
        ) : null}
        {items.length ? (
          <table className="tbl">
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
                    <Link to="/pipelines/edit" search={{ name: shelf.name }}>
                      <b>{shelf.title || shelf.name}</b>
                    </Link>{" "}
                    <Tag>{shelf.name}</Tag>
                    <p className="small m2">{shelf.description}</p>
                  </td>
                  <td className="num">{shelf.newest}</td>
                  <td className="num">{count(shelf.stages)}</td>
                  <td className="num">
                    <Link to="/projects" search={{ q: `pipeline:${shelf.name}` }}>
                      {count(shelf.projects)}
                    </Link>
                  </td>
                  <td className="num">
                    {shelf.succeeded == null ? "–" : `${percent(100 * shelf.succeeded)} of stages`}
                  </td>
                  <td className="m2 nowrap">
                    <Ago at={shelf.updated} />
                  </td>
                  <td className="m2">{shelf.author}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : null}
        <Panel title="Examples" about="to begin with">
          {take.error ? <ProblemNote error={take.error} /> : null}
          <ul className="col gap">
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
      </div>
    </>
  );
}
