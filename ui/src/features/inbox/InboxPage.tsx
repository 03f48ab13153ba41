/** Everything that waits for the person, oldest first; what is chosen is shown with what helps to decide, and answered in place. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { count } from "@/design/format.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Skeleton, Tag } from "@/design/parts.tsx";
import { StateMark } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { Failures } from "@/shared/Failures.tsx";
import { GateCard } from "@/shared/GateCard.tsx";
import { ImpossibleCard } from "@/shared/ImpossibleCard.tsx";
import { useKeys } from "@/shared/keys.ts";
import { useTopic } from "@/shared/live.ts";
import { Picture } from "@/shared/Picture.tsx";
import { useProject } from "@/shared/project.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { type Ask, asksOf, others } from "./asks.ts";
import "./inbox.css";

export interface InboxSearch {
  /** the one that is shown: project, and its gate where it has several */
  at?: string;
}

const PICTURE = /\.(jpe?g|png|webp|gif)$/i;

export function InboxPage() {
  useTitle("Waiting for you");
  const client = useQueryClient();
  const navigate = useNavigate();
  const { at } = useSearch({ from: "/inside/inbox" });
  const pages = useInfiniteQuery({
    queryKey: ["inbox"],
    queryFn: ({ signal, pageParam }) =>
      taken(api.GET("/api/v1/inbox", { params: { query: { after: pageParam, limit: 100 } }, signal })),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });
  useTopic("inbox", "", (message) => {
    if (message.type !== "denied") void client.invalidateQueries({ queryKey: ["inbox"] });
  });
  const asks = asksOf((pages.data?.pages ?? []).flatMap((p) => p.items));
  const place = Math.max(
    0,
    asks.findIndex((ask) => ask.key === at),
  );
  const chosen = asks[place];
  const choose = (ask: Ask | undefined) => {
    if (ask) void navigate({ to: "/inbox", search: { at: ask.key }, replace: true });
  };
  useKeys("Waiting", {
    j: { does: "Next one", act: () => choose(asks[place + 1]) },
    k: { does: "The one before", act: () => choose(asks[place - 1]) },
  });
  return (
    <>
      <TopBar>
        <b>Waiting for you</b> <span className="m3">{pages.data ? count(asks.length) : ""}</span>
      </TopBar>
      <h1 className="vh">Waiting for you</h1>
      {pages.error ? (
        <div className="page">
          <ProblemPage error={pages.error} again={() => void pages.refetch()} />
        </div>
      ) : null}
      {!pages.data && !pages.error ? (
        <div className="page">
          <Skeleton rows={4} height={72} />
        </div>
      ) : null}
      {pages.data && !asks.length ? (
        <Empty icon="check" title="Nothing waits for you">
          Questions and failures of your projects appear here.
        </Empty>
      ) : null}
      {chosen ? (
        <div className="in-box">
          <ul aria-label="What waits">
            {asks.map((ask) => (
              <Item key={ask.key} ask={ask} current={ask === chosen} onChoose={() => choose(ask)} />
            ))}
            {pages.hasNextPage ? (
              <li>
                <Button
                  look="ghost"
                  busy={pages.isFetchingNextPage}
                  onClick={() => void pages.fetchNextPage()}
                >
                  More
                </Button>
              </li>
            ) : null}
          </ul>
          <Detail key={chosen.key} ask={chosen} />
        </div>
      ) : null}
    </>
  );
}

function Item({ ask, current, onChoose }: { ask: Ask; current: boolean; onChoose: () => void }) {
  const picture = ask.show.find((path) => PICTURE.test(path)) ?? "";
  return (
    <li data-s={ask.failed ? "paused-failure" : "waiting"}>
      <button type="button" aria-current={current || undefined} onClick={onChoose}>
        <Picture project={ask.project} path={picture} name={ask.name} width={64} height={42} />
        <b className="trunc">{ask.name}</b>
        <span className="small m3 nowrap">
          <Ago at={ask.since} />
        </span>
        <span className="clamp small">
          <StateMark state={ask.failed ? "failed" : "waiting"} /> {ask.text}
          {ask.more ? `, and ${others(ask)}` : ""}
        </span>
      </button>
    </li>
  );
}

function Detail({ ask }: { ask: Ask }) {
  const { data: project, error, refetch } = useProject(ask.project);
  const gates = project?.gates.filter((gate) => gate.id === ask.gate) ?? [];
  return (
    <section className="in-detail" aria-label={ask.name}>
      <header className="row wrap">
        <h2>
          <Link to="/projects/$project" params={{ project: ask.project }}>
            {ask.name}
          </Link>
        </h2>
        <Tag>{ask.pipeline}</Tag>
        {ask.tags.slice(0, 6).map((tag) => (
          <Tag key={tag}>{tag}</Tag>
        ))}
        <span className="grow" />
        <Link className="btn sm" to="/projects/$project" params={{ project: ask.project }}>
          Open the project
        </Link>
      </header>
      {error ? <ProblemNote error={error} again={() => void refetch()} /> : null}
      {!project && !error ? <Skeleton rows={3} height={120} /> : null}
      {project ? gates.map((gate) => <GateCard key={gate.id} project={project} gate={gate} first />) : null}
      {project && ask.failed ? (
        <>
          <ImpossibleCard project={project} />
          <Failures project={project} />
        </>
      ) : null}
    </section>
  );
}
