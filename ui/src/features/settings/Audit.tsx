/** Who did what, and what was refused. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton, Tag } from "@/design/parts.tsx";
import { Ago } from "@/design/time.tsx";

export function Audit() {
  const pages = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/audit", {
          params: { query: { limit: 100, ...(pageParam ? { after: pageParam } : {}) } as never },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });
  if (pages.error) return <ProblemPage error={pages.error} again={() => void pages.refetch()} />;
  if (!pages.data) return <Skeleton rows={10} height={32} />;
  const items = pages.data.pages.flatMap((p) => p.items) as unknown as Record<string, unknown>[];
  return (
    <section className="wide">
      <h1>Audit</h1>
      <div className="scroll-x">
        <table className="tbl">
          <thead>
            <tr>
              <th>When</th>
              <th>Who</th>
              <th>What</th>
              <th>About</th>
              <th>Outcome</th>
              <th>From</th>
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={String(item.id ?? item.cursor ?? `${item.at}-${item.request}`)}>
                <td className="nowrap m2">
                  <Ago at={String(item.at)} />
                </td>
                <td>{String(item.actor || "nobody")}</td>
                <td className="mono small">{String(item.what ?? item.action ?? "")}</td>
                <td className="small m2">{String(item.target ?? "")}</td>
                <td>
                  <Tag kind={Number(item.status) >= 400 ? "bad" : ""}>
                    {String(item.status ?? item.outcome ?? "")}
                  </Tag>
                </td>
                <td className="small m3">{String(item.address ?? "")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {pages.hasNextPage ? (
        <Button look="ghost" busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          Earlier
        </Button>
      ) : null}
    </section>
  );
}
