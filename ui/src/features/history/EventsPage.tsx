/** What has happened in a project, in order, with who did it. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Skeleton } from "@/design/parts.tsx";
import { Clock } from "@/design/time.tsx";
import { may, useCommand, useProject } from "@/shared/project.ts";
import { useSession } from "@/shared/session.ts";
import { said } from "./said.ts";
import "./history.css";

/** For those who read it later: kept with what happened. */
function Say({ project }: { project: string }) {
  const command = useCommand(project);
  const [text, setText] = useState("");
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim()) return;
    command.mutate({ kind: "add_comment", text: text.trim(), stage: 0 }, { onSuccess: () => setText("") });
  };
  return (
    <form className="say" onSubmit={send}>
      <input
        className="in"
        aria-label="Comment"
        placeholder="A comment, for those who read this"
        maxLength={2000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <Button type="submit" disabled={!text.trim()} busy={command.isPending}>
        Add the comment
      </Button>
      {command.error ? <ProblemNote error={command.error} /> : null}
    </form>
  );
}

export function EventsPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const { data: project } = useProject(id);
  const me = useSession()?.user;
  const pages = useInfiniteQuery({
    queryKey: ["project", id, "history", project?.version ?? 0],
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/projects/{project}/history", {
          params: {
            path: { project: id },
            query: { limit: 100, ...(pageParam ? { before: pageParam } : {}) },
          },
          signal,
        }),
      ),
    initialPageParam: 0,
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (old) => old,
  });
  if (pages.error)
    return (
      <div className="page">
        <ProblemPage error={pages.error} again={() => void pages.refetch()} />
      </div>
    );
  if (!pages.data) return <Skeleton rows={10} height={32} />;
  const told = pages.data.pages
    .flatMap((p) => p.items)
    .map((each) => ({ ...each, lines: each.entries.map(said).filter(Boolean) }))
    .filter((each) => each.lines.length);
  return (
    <div className="page">
      {project && may(project, "comment") ? <Say project={id} /> : null}
      <ol className="events">
        {told.map((each) => (
          <li key={each.version}>
            <span className="m3 small nowrap">
              <Clock at={each.at} seconds />
            </span>
            <span className="m2">{each.actor ? (each.actor === me ? "you" : each.actor) : "Winslow"}</span>
            <span>
              {each.lines.map((line, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: what happened together has no other identity
                <span key={at} className="event">
                  {line}
                </span>
              ))}
            </span>
          </li>
        ))}
      </ol>
      {pages.hasNextPage ? (
        <Button look="ghost" busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
          Earlier
        </Button>
      ) : null}
    </div>
  );
}
