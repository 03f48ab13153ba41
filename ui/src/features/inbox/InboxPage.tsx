/** Everything that waits for the person, oldest first. */
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, taken } from "@/api/client.ts";
import { count } from "@/design/format.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Skeleton, Tag } from "@/design/parts.tsx";
import { StateTag } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { useTopic } from "@/shared/live.ts";
import { pictureOf } from "@/shared/Picture.tsx";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import "./inbox.css";

const WORDS: Record<string, string> = {
  confirm: "Inspect",
  values: "Fill in",
  condition: "Decide",
  choice: "Choose",
  failure: "Look",
  impossible: "Look",
};
const PICTURE = /\.(jpe?g|png|webp|gif)$/i;

export function InboxPage() {
  useTitle("Waiting for you");
  const client = useQueryClient();
  const pages = useInfiniteQuery({
    queryKey: ["inbox"],
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/inbox", { params: { query: { after: pageParam, limit: 100 } as never }, signal }),
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });
  useTopic("inbox", "", (message) => {
    if (message.type !== "denied") void client.invalidateQueries({ queryKey: ["inbox"] });
  });
  const items = (pages.data?.pages ?? [])
    .flatMap((p) => p.items)
    .sort((a, b) => (a.since < b.since ? -1 : 1));
  return (
    <>
      <TopBar>
        <b>Waiting for you</b> <span className="m3">{pages.data ? count(items.length) : ""}</span>
      </TopBar>
      <h1 className="vh">Waiting for you</h1>
      <div className="page">
        {pages.error ? <ProblemPage error={pages.error} again={() => void pages.refetch()} /> : null}
        {!pages.data && !pages.error ? <Skeleton rows={4} height={72} /> : null}
        {pages.data && !items.length ? (
          <Empty icon="check" title="Nothing waits for you">
            Questions and failures of your projects appear here.
          </Empty>
        ) : null}
        <ul className="in-box">
          {items.map((item) => {
            const failed = item.kind === "failure" || item.kind === "impossible";
            const picture = item.show.find((path) => PICTURE.test(path));
            return (
              <li
                key={`${item.project}/${item.gate || item.stage}`}
                data-s={failed ? "paused-failure" : "waiting"}
              >
                {picture ? (
                  <img className="thumb" src={pictureOf(item.project, picture)} alt="" loading="lazy" />
                ) : (
                  <span className="thumb" />
                )}
                <div className="grow">
                  <span className="row wrap">
                    <Link to="/projects/$project" params={{ project: item.project }}>
                      <b>{item.name}</b>
                    </Link>
                    <Tag>{item.pipeline}</Tag>
                    {item.tags.map((tag) => (
                      <Tag key={tag}>{tag}</Tag>
                    ))}
                  </span>
                  <p>
                    <StateTag
                      state={failed ? "failed" : "waiting"}
                      word={
                        failed ? `${item.id} ${item.kind === "failure" ? "failed" : "cannot start"}` : "asks"
                      }
                    />{" "}
                    {item.text}
                  </p>
                  <span className="small m2">
                    since <Ago at={item.since} />
                  </span>
                </div>
                <Link className="btn" to="/projects/$project" params={{ project: item.project }}>
                  {WORDS[item.kind]}
                </Link>
              </li>
            );
          })}
        </ul>
        {pages.hasNextPage ? (
          <Button look="ghost" busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            More
          </Button>
        ) : null}
      </div>
    </>
  );
}
