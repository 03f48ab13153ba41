/** The last lines of what runs, as they come. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Panel } from "@/design/parts.tsx";
import { type State, StateTag } from "@/design/state.tsx";
import { useTopic } from "@/shared/live.ts";
import { numbered, type StageView } from "@/shared/project.ts";

type Line = components["schemas"]["LogLine"];
const LINES = 14;
// what a terminal would show as colours is left out here; the log page has it
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what such a sequence begins with
const COLOURS = /\u001b\[[0-9;]*[A-Za-z]/g;
const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function LogTail({ project, stage }: { project: string; stage: StageView }) {
  const attempt = stage.attempt ?? 0;
  const [fresh, setFresh] = useState<{ of: string; lines: Line[]; total: number }>({
    of: "",
    lines: [],
    total: 0,
  });
  const name = `${project}/${stage.number}/${attempt}`;
  const { data, error } = useQuery({
    queryKey: ["tail", project, stage.number, attempt],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/stages/{stage}/log/tail", {
          params: { path: { project, stage: stage.number }, query: { attempt, count: LINES } },
          signal,
        }),
      ),
    enabled: attempt > 0,
  });
  useTopic(
    attempt && stage.state === "running" && data ? `log:${name}` : null,
    data ? String(data.total) : null,
    (message) => {
      if (message.type !== "delta" && message.type !== "total") return;
      const said = message.data as components["schemas"]["LogData"];
      setFresh((old) => ({
        of: name,
        total: said.total,
        lines: merge(old.of === name ? old.lines : [], said.lines ?? []),
      }));
    },
  );
  const lines = merge(data?.lines ?? [], fresh.of === name ? fresh.lines : []);
  const total = Math.max(data?.total ?? 0, fresh.of === name ? fresh.total : 0);
  return (
    <Panel
      title="Log"
      about={
        <>
          <StateTag state={stage.state as State} word={`${stage.id} ${numbered(stage.number)}`} />{" "}
          {total ? `line ${count(total)}${stage.state === "running" ? ", following" : ""}` : ""}
        </>
      }
      actions={
        <Link
          className="btn ghost sm"
          to="/projects/$project/logs"
          params={{ project }}
          search={{ stage: stage.number }}
        >
          Open log <kbd>l</kbd>
        </Link>
      }
      className="flush"
    >
      {error ? <ProblemNote error={error} /> : null}
      <div className="tail" role="log" aria-live="off" aria-label="Last lines of the log">
        {lines.length ? (
          lines.map((line) => (
            <div key={line.n} className={line.stream === "err" ? "e" : ""}>
              <span>{count(line.n + 1)}</span>
              <span>{line.at ? time.format(new Date(line.at)) : ""}</span>
              <span>{line.text.replace(COLOURS, "")}</span>
            </div>
          ))
        ) : (
          <p className="m3 small">{attempt ? "Nothing was written yet." : "It has not started yet."}</p>
        )}
      </div>
    </Panel>
  );
}

/** Newer ones replace those with the same number (an open line grows); the last few are kept. */
export function merge(old: Line[], fresh: Line[]): Line[] {
  const by = new Map(old.map((line) => [line.n, line]));
  for (const line of fresh) by.set(line.n, line);
  return [...by.values()].sort((a, b) => a.n - b.n).slice(-LINES);
}
