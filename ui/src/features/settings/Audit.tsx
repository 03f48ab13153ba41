/** Who did what, and what was refused. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton, Tag } from "@/design/parts.tsx";
import { sideways } from "@/design/sideways.ts";
import { Ago } from "@/design/time.tsx";

export function Audit() {
  const pages = useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/audit", {
          params: { query: { limit: 100, ...(pageParam ? { after: pageParam } : {}) } },
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
      <div ref={sideways} className="scroll-x">
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
                <td>{String(item.what ?? "").replaceAll("_", " ")}</td>
                <td className="small m2">{named(item.target)}</td>
                <td>
                  <span title={item.status ? `answered with ${item.status}` : undefined}>
                    <Tag kind={item.outcome === "done" ? "" : "bad"}>{String(item.outcome ?? "")}</Tag>
                  </span>
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

/** What it was done to, as the address of the request names it. */
function named(target: unknown): string {
  if (typeof target !== "object" || target === null) return "";
  return Object.entries(target)
    .map(([kind, name]) => `${kind} ${name}`)
    .join(", ");
}
