/** A stage's log: millions of lines, followed, searched, linked to by line. */
import { Menu } from "@mantine/core";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { count, plural } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Empty } from "@/design/parts.tsx";
import { type State, StateTag } from "@/design/state.tsx";
import { useKeys } from "@/shared/keys.ts";
import { useTopic } from "@/shared/live.ts";
import { may, numbered, type StageView, tellFailure, useProject } from "@/shared/project.ts";
import { useSession } from "@/shared/session.ts";
import { Density } from "./Density.tsx";
import { Highlights } from "./Highlights.tsx";
import { offered, useHighlights } from "./highlights.ts";
import { LogView } from "./LogView.tsx";
import { compiled, type Marking, plain, translated } from "./marks.ts";
import { ParserPanel } from "./ParserPanel.tsx";
import { type Found, firstError, useFind } from "./search.ts";
import { type Line, LogStore } from "./store.ts";
import "./logs.css";

export interface LogsSearch {
  stage?: number;
  attempt?: number;
  line?: number;
  stream?: "out" | "err";
  find?: string;
  regex?: boolean;
  mark?: string;
}

type Data = components["schemas"]["LogData"];

export function LogsPage() {
  const { project: id } = useParams({ from: "/inside/projects/$project" });
  const search = useSearch({ from: "/inside/projects/$project/logs" });
  const { data: project } = useProject(id);
  if (!project) return null;
  const ran = project.stages.filter((s) => (s.attempt ?? 0) > 0);
  const stage =
    ran.find((s) => s.number === search.stage) ??
    (search.stage ? undefined : (ran.find((s) => s.state === "running") ?? ran[0]));
  if (!stage) {
    return (
      <Empty
        icon="terminal"
        title={search.stage ? `Stage ${numbered(search.stage)} has no log` : "Nothing has run yet"}
      >
        A log begins when a stage starts.
      </Empty>
    );
  }
  const attempt = search.attempt ?? stage.attempt ?? 1;
  const key = `${id}/${stage.number}/${attempt}/${search.stream ?? ""}`;
  return (
    <Log
      key={key}
      project={id}
      pipeline={project.pipeline.name}
      editable={may(project, "run")}
      stages={ran}
      stage={stage}
      attempt={attempt}
      search={search}
    />
  );
}

interface LogProps {
  project: string;
  pipeline: string;
  /** whether the project's own pipeline may be changed */
  editable: boolean;
  stages: StageView[];
  stage: StageView;
  attempt: number;
  search: LogsSearch;
}

function Log({ project, pipeline, editable, stages, stage, attempt, search }: LogProps) {
  const navigate = useNavigate();
  const stream = search.stream;
  const latest = useRef(search);
  latest.current = search;
  const go = useCallback(
    (next: Partial<LogsSearch>) =>
      void navigate({
        to: "/projects/$project/logs",
        params: { project },
        search: tidy({ stage: stage.number, ...latest.current, ...next }),
        replace: true,
        resetScroll: false, // else the router takes the log back to where it stood before the jump
      }),
    [navigate, project, stage.number],
  );
  const path = useMemo(() => ({ project, stage: stage.number }), [project, stage.number]);
  const store = useMemo(
    () =>
      new LogStore(
        (start, size, signal) =>
          taken(
            api.GET("/api/v1/projects/{project}/stages/{stage}/log", {
              params: { path, query: { attempt, start, count: size, ...(stream ? { stream } : {}) } },
              signal,
            }),
          ) as ReturnType<ConstructorParameters<typeof LogStore>[0]>,
      ),
    [path, attempt, stream],
  );
  useEffect(() => () => store.close(), [store]);
  useSyncExternalStore(store.watch, store.snapshot);

  const [follow, setFollow] = useState(!search.line && stage.state === "running");
  const [times, setTimes] = useState(true);
  const [shown, setShown] = useState<[number, number]>([0, 0]);
  const [goal, setGoal] = useState<{ place: number } | null>(search.line ? { place: search.line - 1 } : null);
  const [pinned, setPinned] = useState<Line | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const find = search.find ?? "";
  const regex = search.regex ?? false;
  const result = useFind({
    path,
    attempt,
    stream,
    pattern: find,
    regex,
    total: store.total,
    ended: store.ended,
  });
  const hits = useMemo(() => compiled(find, regex), [find, regex]);
  const [saved, setSaved] = useHighlights(useSession()?.user ?? "");
  const [clean, setClean] = useState(-1); // no error from this line on
  const [parsing, setParsing] = useState(false);
  const [parsed, setParsed] = useState("");
  const highlights = useMemo(() => {
    const found = offered(saved, pipeline)
      .filter((h) => h.on)
      .map((h) => ({ regex: compiled(h.pattern, true), names: `hl c${h.colour}` }));
    found.push({ regex: compiled(search.mark ?? "", true), names: "hl" });
    if (parsing) found.push({ regex: translated(parsed), names: "hl c2" });
    return found.filter((f): f is Marking => f.regex !== null);
  }, [saved, pipeline, search.mark, parsing, parsed]);

  // with one stream shown, what is told live counts lines of both: the page asks instead
  useTopic(
    store.ready && !store.ended ? `log:${project}/${stage.number}/${attempt}` : null,
    String(store.total),
    (message) => {
      if (message.type === "gap") store.refresh();
      if (message.type !== "delta" && message.type !== "total") return;
      const data = message.data as Data;
      if (stream) store.refresh();
      else {
        const lines = (data.lines ?? []) as Line[];
        store.grow({
          attempt,
          start: lines[0]?.n ?? data.total,
          total: data.total,
          complete: data.complete,
          ended: data.ended,
          lines,
        });
      }
    },
  );

  const jump = useCallback(
    (line: Line) => {
      setFollow(false);
      setGoal({ place: line.n });
      setPinned(line);
      go({ line: line.n + 1 });
    },
    [go],
  );
  const onRange = useCallback(
    (first: number, last: number) =>
      setShown((old) => (old[0] === first && old[1] === last ? old : [first, last])),
    [],
  );
  const at = result.hits.findIndex((h) => h.n === (pinned?.n ?? (search.line ?? 0) - 1));
  const step = (by: number) => {
    const next =
      result.hits[
        at < 0 ? nearest(result.hits, shown[0]) : (at + by + result.hits.length) % result.hits.length
      ];
    if (next) jump(next);
  };
  const below = pinned ? pinned.n + 1 : shown[0]; // where the next error is looked for
  const nextError = async () => {
    const hit = await firstError({ path, attempt, stream }, below);
    if (hit) jump(hit);
    else setClean(below);
  };
  useKeys("Log", {
    "/": { does: "Find in the log", act: () => field.current?.focus() },
    n: { does: "Next hit", palette: false, act: () => step(1) },
    N: { does: "Hit before", palette: false, act: () => step(-1) },
    f: { does: "Follow the log", act: () => setFollow(true) },
    e: {
      does: "Next error",
      act: () => void nextError().catch(tellFailure("The next error could not be looked for")),
    },
    t: { does: times ? "Hide the times" : "Show the times", act: () => setTimes(!times) },
    Escape: { does: "End the search", palette: false, act: () => go({ find: "" }) },
  });
  const raw = `/api/v1/projects/${encodeURIComponent(project)}/stages/${stage.number}/log/raw?attempt=${attempt}${stream ? `&stream=${stream}` : ""}`;
  return (
    <div className="logs">
      <div className="lt wrap">
        <Menu position="bottom-start">
          <Menu.Target>
            <Button small>
              <StateTag state={stage.state as State} word={`${stage.id} ${numbered(stage.number)}`} />
              <span className="m2">
                attempt {attempt} of {stage.attempt}
              </span>
            </Button>
          </Menu.Target>
          <Menu.Dropdown className="tall">
            {stages.flatMap((each) =>
              Array.from({ length: each.attempt ?? 0 }, (_, i) => (each.attempt ?? 0) - i).map((n) => (
                <Menu.Item
                  key={`${each.number}/${n}`}
                  onClick={() => go({ stage: each.number, attempt: n, line: undefined })}
                >
                  <StateTag state={each.state as State} word={`${each.id} ${numbered(each.number)}`} />
                  {(each.attempt ?? 0) > 1 ? <span className="m2"> attempt {n}</span> : null}
                </Menu.Item>
              )),
            )}
          </Menu.Dropdown>
        </Menu>
        <div className="seg" role="group" aria-label="Stream">
          {(["", "out", "err"] as const).map((each) => (
            <button
              key={each}
              type="button"
              aria-pressed={(stream ?? "") === each}
              onClick={() => go({ stream: each || undefined, line: undefined })}
            >
              {each ? `std${each}` : "Both"}
            </button>
          ))}
        </div>
        <FindField
          field={field}
          pattern={find}
          regex={regex}
          found={result}
          at={at}
          onFind={(next) => go(next)}
          onStep={step}
        />
        <span className="grow" />
        <span className="small m2" role="status">
          {clean === below ? `no error from line ${count(below + 1)} on` : ""}
        </span>
        <div className="lt-acts row">
          <Button
            small
            look="ghost"
            icon="warn"
            hotkey="e"
            onClick={() => void nextError().catch(tellFailure("The next error could not be looked for"))}
          >
            Next error
          </Button>
          <Button small icon="clock" aria-pressed={times} onClick={() => setTimes(!times)}>
            Times
          </Button>
          <Highlights all={saved} pipeline={pipeline} onChange={setSaved} />
          <Button small icon="table" aria-pressed={parsing} onClick={() => setParsing(!parsing)}>
            Make a table…
          </Button>
          <a className="btn sm" href={raw} download title="The log as it was written, as one file">
            Raw
          </a>
        </div>
      </div>
      {parsing ? (
        <ParserPanel
          project={project}
          stage={stage.number}
          id={stage.id}
          start={regex ? find : ""}
          editable={editable}
          onPattern={setParsed}
          onClose={() => setParsing(false)}
        />
      ) : null}
      {store.error ? <ProblemNote error={store.error} again={() => store.refresh()} /> : null}
      {result.error ? <ProblemNote error={result.error} /> : null}
      <div className={find ? "lay with-hits" : "lay"}>
        {find ? <Hits found={result} total={store.total} at={at} pattern={hits} onJump={jump} /> : null}
        <LogView
          store={store}
          follow={follow}
          onFollow={setFollow}
          goal={goal}
          pinned={pinned?.n ?? (search.line ? search.line - 1 : null)}
          onPin={(line) => {
            setPinned(line);
            go({ line: line.n + 1 });
          }}
          hits={hits}
          highlights={highlights}
          times={times}
          onRange={onRange}
        />
        <Density
          total={store.total}
          hits={result.hits}
          shown={shown}
          onJump={(place) => {
            setFollow(false);
            setGoal({ place });
          }}
        />
      </div>
      <div className="stat">
        <span>
          Lines {count(shown[0] + 1)} to {count(Math.min(store.total, shown[1] + 1))} of{" "}
          <b>{count(store.total)}</b>
          {store.complete ? "" : ", still being looked through"}
        </span>
        {pinned ? <Pinned line={pinned} onClose={() => setPinned(null)} /> : null}
        <span className="grow" />
        <label className="row mark-field">
          highlight
          <input
            className="in mono"
            value={search.mark ?? ""}
            placeholder="frame (\d+)"
            onChange={(event) => go({ mark: event.target.value || undefined })}
          />
        </label>
        <GoTo
          total={store.total}
          onGo={(n) => {
            setFollow(false);
            setGoal({ place: n - 1 });
            go({ line: n });
          }}
        />
      </div>
    </div>
  );
}

function tidy(search: LogsSearch): LogsSearch {
  return Object.fromEntries(
    Object.entries(search).filter(([, value]) => value !== undefined && value !== "" && value !== false),
  );
}

function nearest(hits: Line[], place: number): number {
  const at = hits.findIndex((h) => h.n >= place);
  return at < 0 ? 0 : at;
}

function FindField({
  field,
  pattern,
  regex,
  found,
  at,
  onFind,
  onStep,
}: {
  field: React.RefObject<HTMLInputElement | null>;
  pattern: string;
  regex: boolean;
  found: Found;
  at: number;
  onFind: (next: Partial<LogsSearch>) => void;
  onStep: (by: number) => void;
}) {
  const [text, setText] = useState(pattern);
  const [before, setBefore] = useState(pattern);
  if (before !== pattern) {
    setBefore(pattern);
    setText(pattern);
  }
  return (
    <div className="find">
      <input
        ref={field}
        aria-label="Find in the log"
        placeholder="find"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && text !== pattern) onFind({ find: text, line: undefined });
          else if (event.key === "Enter") onStep(event.shiftKey ? -1 : 1);
          else if (event.key === "Escape") {
            onFind({ find: "" });
            event.currentTarget.blur();
          } else return;
          event.preventDefault();
        }}
      />
      {pattern ? (
        <span className="small m2" aria-live="polite">
          {found.busy
            ? "searching…"
            : found.hits.length
              ? `${at + 1 || "–"} of ${count(found.hits.length)}${found.more ? "+" : ""}`
              : "nothing"}
        </span>
      ) : (
        <kbd>/</kbd>
      )}
      <Button
        small
        look="ghost"
        icon="cu"
        aria-label="Hit before"
        onClick={() => onStep(-1)}
        disabled={!found.hits.length}
      />
      <Button
        small
        look="ghost"
        icon="cd"
        aria-label="Next hit"
        onClick={() => onStep(1)}
        disabled={!found.hits.length}
      />
      <Button
        small
        look="ghost"
        aria-pressed={regex}
        title="Regular expression"
        onClick={() => onFind({ regex: !regex })}
      >
        .*
      </Button>
    </div>
  );
}

function Hits({
  found,
  total,
  at,
  pattern,
  onJump,
}: {
  found: Found;
  total: number;
  at: number;
  pattern: RegExp | null;
  onJump: (line: Line) => void;
}) {
  return (
    <nav className="hits" aria-label="Hits">
      <p className="small">
        <b>{plural(found.hits.length, "hit")}</b> <span className="m3">in {count(total)} lines</span>
      </p>
      <ul>
        {found.hits.map((hit, index) => (
          <li key={hit.n}>
            <button
              type="button"
              aria-current={index === at ? "true" : undefined}
              onClick={() => onJump(hit)}
            >
              <span>{count(hit.n + 1)}</span>
              <span>{around(plain(hit.text), pattern)}</span>
            </button>
          </li>
        ))}
      </ul>
      {found.more ? (
        <Button small look="ghost" busy={found.busy} onClick={found.goOn}>
          Search on
        </Button>
      ) : null}
    </nav>
  );
}

/** The line from just before its first hit on. */
function around(text: string, pattern: RegExp | null) {
  if (!pattern) return text.slice(0, 80);
  pattern.lastIndex = 0;
  const match = pattern.exec(text);
  if (!match) return text.slice(0, 80);
  const from = Math.max(0, match.index - 12);
  return (
    <>
      {from ? "…" : ""}
      {text.slice(from, match.index)}
      <mark>{match[0]}</mark>
      {text.slice(match.index + match[0].length, match.index + match[0].length + 60)}
    </>
  );
}

function Pinned({ line, onClose }: { line: Line; onClose: () => void }) {
  const copy = (text: string) => void navigator.clipboard.writeText(text);
  return (
    <span className="row">
      <Button small look="ghost" icon="link" onClick={() => copy(location.href)}>
        Copy link to {count(line.n + 1)}
      </Button>
      <Button small look="ghost" icon="copy" onClick={() => copy(plain(line.text))}>
        Copy line
      </Button>
      <Button small look="ghost" icon="x" aria-label="No line" onClick={onClose} />
    </span>
  );
}

function GoTo({ total, onGo }: { total: number; onGo: (line: number) => void }) {
  return (
    <label className="row goto">
      go to line
      <input
        className="in"
        inputMode="numeric"
        onKeyDown={(event) => {
          if (event.key !== "Enter") return;
          const wanted = Number(event.currentTarget.value.replace(/\D/g, ""));
          if (wanted > 0) onGo(Math.min(total, wanted));
        }}
      />
    </label>
  );
}
