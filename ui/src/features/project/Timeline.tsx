import { useMediaQuery } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { clock, duration, plural } from "@/design/format.ts";
import { Button } from "@/design/parts.tsx";
import { colour, type State, StateMark } from "@/design/state.tsx";
import { useNow } from "@/design/time.tsx";
import { numbered, type Project } from "@/shared/project.ts";
import { answered, beside, type Lane, lanes, part, type Range, range, type Span, ticks } from "./timeline.ts";

const ROWS = 12; // at once; the newest say most
const SECONDS = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export function Timeline({ project, onChoose }: { project: Project; onChoose: (stage: number) => void }) {
  const now = useNow();
  const narrow = useMediaQuery("(max-width: 760px)");
  const [whole, setWhole] = useState(true);
  const history = useQuery({
    queryKey: ["project", project.id, "answered"],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/projects/{project}/history", {
          params: { path: { project: project.id }, query: { limit: 500 } },
          signal,
        }),
      ),
  });
  const past = useMemo(() => answered(history.data?.items ?? []), [history.data]);
  const all = useMemo(() => lanes(project, now, past), [project, now, past]);
  const [every, setEvery] = useState(false);
  const inTime = whole ? all : all.filter((l) => l.spans.some((s) => s.to > now - 86_400_000));
  const shown = every ? inTime : inTime.slice(-ROWS);
  if (!all.length) return <p className="m2">Nothing has run yet.</p>;
  const r = range(shown, now);
  const marks = ticks(r, narrow ? 3 : 7);
  const fine = marks.length > 1 && (marks[1] ?? 0) - (marks[0] ?? 0) < 60_000;
  return (
    <div>
      {all.some((l) => l.spans.some((s) => s.from < now - 86_400_000)) ? (
        <div className="seg gantt-seg" role="group" aria-label="Time shown">
          <button type="button" aria-pressed={whole} onClick={() => setWhole(true)}>
            All
          </button>
          <button type="button" aria-pressed={!whole} onClick={() => setWhole(false)}>
            Last 24 h
          </button>
        </div>
      ) : null}
      {shown.length < inTime.length ? (
        <Button small look="ghost" onClick={() => setEvery(true)}>
          {plural(inTime.length - shown.length, "earlier stage")}
        </Button>
      ) : null}
      <div className="gantt">
        <div className="scale" aria-hidden="true">
          <span />
          <div>
            {marks.map((at) => (
              <span key={at} style={{ left: `${part(at, r)}%` }} data-end={part(at, r) > 94 || undefined}>
                {fine ? SECONDS.format(at) : clock(at, now)}
              </span>
            ))}
          </div>
        </div>
        <div className="gantt-grid" aria-hidden="true">
          {marks.map((at) => (
            <span key={at} style={{ left: `${part(at, r)}%` }} />
          ))}
          {now <= r.to ? <i className="nowl" style={{ left: `${part(now, r)}%` }} /> : null}
        </div>
        {shown.map((lane) => (
          <Row key={lane.key} lane={lane} r={r} now={now} onChoose={onChoose} />
        ))}
      </div>
    </div>
  );
}

function Row({
  lane,
  r,
  now,
  onChoose,
}: {
  lane: Lane;
  r: Range;
  now: number;
  onChoose: (stage: number) => void;
}) {
  const state = lane.state as State;
  const last = lane.spans.at(-1);
  const words = [...lane.spans.map((s) => label(s)), lane.text].filter(Boolean).join(", ");
  const where = beside(lane, r);
  const begins = part(lane.spans[0]?.from ?? r.to, r);
  const at =
    where === "behind"
      ? { left: `${part(last?.to ?? r.from, r)}%` }
      : where === "before"
        ? { right: `${100 - begins}%`, maxWidth: `calc(${begins}% - 12px)` }
        : { right: `${Math.max(0, 100 - part(last?.to ?? r.to, r))}%` };
  return (
    <div className="r">
      <button
        type="button"
        disabled={!lane.number}
        onClick={() => onChoose(lane.number)}
        aria-label={`${lane.name} ${lane.number || ""}: ${words}`}
      >
        <StateMark state={state} />
        <span className="trunc">{lane.name}</span>
        <i>{lane.number ? numbered(lane.number) : ""}</i>
      </button>
      <div className="lane" data-s={colour(state)}>
        {lane.spans.map((span) => {
          const width = part(span.to, r) - part(span.from, r);
          return (
            <u
              key={`${span.kind}-${span.from}`}
              className={
                span.kind === "ran" || span.kind === "broken" ? "" : span.kind === "expected" ? "plan" : "w"
              }
              data-s={span.kind === "asked" ? "waiting" : span.kind === "broken" ? "failed" : undefined}
              style={{ left: `${part(span.from, r)}%`, width: `max(${width}%, 4px)` }}
              title={label(span)}
            >
              {span.kind === "ran" && width > 9 && !(where === "on" && width < 40)
                ? duration(span.to - span.from)
                : ""}
              {span.kind === "asked" && span.actor && width > 30 ? <b>{label(span)}</b> : ""}
            </u>
          );
        })}
        {last ? (
          <em data-at={where} style={at}>
            {last.kind === "expected" ? `about ${clock(last.to, now)}` : lane.text}
          </em>
        ) : null}
      </div>
    </div>
  );
}

function label(span: Span): string {
  const time = duration(span.to - span.from);
  switch (span.kind) {
    case "waited":
      return `waited ${time}`;
    case "asked":
      return span.actor
        ? `waited ${time} for ${span.actor}${span.text ? `: ${span.text}` : ""}`
        : `waited ${time} for an answer`;
    case "expected":
      return `likely ${time}`;
    default:
      return `${span.attempt ? `attempt ${span.attempt} ` : ""}ran ${time}${span.text ? `: ${span.text}` : ""}`;
  }
}
