/** Everything by typing: places, projects, pipelines, nodes, and what can be done on the page behind it. */
import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { plural } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { StateMark, WORDS } from "@/design/state.tsx";
import { listed } from "@/shared/keys.ts";
import { projectState } from "@/shared/look.ts";
import { nodesQuery } from "@/shared/nodes.ts";
import { show } from "@/shared/palette.ts";
import { recent, remember } from "@/shared/recent.ts";
import { useSession } from "@/shared/session.ts";
import { groups, type Item, PAGES } from "./items.ts";
import { match } from "./match.ts";
import "./palette.css";

const SETTLED = 120; // ms without a key before the server is asked
const PROJECTS = 8;
const KINDS = { project: "projects", pipeline: "pipelines", node: "nodes", page: "ar" } as const;

export function Palette() {
  const navigate = useNavigate();
  const session = useSession();
  const id = useId();
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLDivElement>(null);
  // the page behind the dialog stays as it is, and so does what can be done there
  const [acts] = useState<Item[]>(() =>
    listed()
      .filter((each) => each.palette !== false)
      .map((each) => ({
        id: `act:${each.where}:${each.does}`,
        title: each.does,
        about: each.where,
        hint: each.key,
        kind: "act",
        act: () => each.act(),
      })),
  );
  const [been] = useState<Item[]>(() =>
    recent()
      .filter((each) => each.to !== location.pathname)
      .map((each) => ({ ...each, id: `been:${each.to}`, icon: KINDS[each.kind] ?? "ar" })),
  );
  const { projects, pipelines, nodes, busy, error } = useFound(typed);
  const pages = useMemo(
    () =>
      PAGES.filter(
        (page) =>
          (!page.admin || session?.role === "admin") && !acts.some((each) => each.title === page.title),
      ),
    [session?.role, acts],
  );
  const shown = useMemo(
    () => groups({ acts, recent: been, projects, pipelines, nodes, pages }, typed),
    [acts, been, projects, pipelines, nodes, pages, typed],
  );
  const items = shown.flatMap((group) => group.items);
  const current = items[Math.min(at, items.length - 1)];

  useEffect(() => {
    if (current) list.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [current]);

  const take = (item: Item | undefined, apart: boolean) => {
    if (!item) return;
    if (item.to && item.kind !== "act") {
      remember({ to: item.to, title: item.title, kind: item.kind });
      if (apart) {
        window.open(item.to, "_blank", "noopener");
        return;
      }
    }
    show("");
    // once the dialog has let go of the focus: what is done may want it
    setTimeout(() => (item.to ? void navigate({ href: item.to }) : item.act?.()), 0);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const end = items.length - 1;
    const now = Math.min(at, end);
    const moves: Record<string, number> = {
      ArrowDown: now >= end ? 0 : now + 1,
      ArrowUp: now <= 0 ? end : now - 1,
      PageDown: Math.min(end, now + 8),
      PageUp: Math.max(0, now - 8),
      ...(event.ctrlKey ? { Home: 0, End: end } : {}),
    };
    const move = moves[event.key];
    if (move !== undefined) {
      event.preventDefault();
      if (end >= 0) setAt(move);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(current, event.ctrlKey || event.metaKey);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      show("");
    }
  };
  return (
    <Modal
      opened
      onClose={() => show("")}
      withCloseButton={false}
      size={640}
      yOffset="12vh"
      padding={0}
      transitionProps={{ duration: 0 }}
      classNames={{ content: "pal" }}
      aria-label="Search, go to, do"
    >
      <div className="pal-in">
        <Icon name="search" />
        <input
          data-autofocus
          role="combobox"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={current ? `${id}-${current.id}` : undefined}
          aria-autocomplete="list"
          aria-label="Search, go to, do"
          placeholder="Search projects, go to a page, do something"
          autoComplete="off"
          spellCheck={false}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value);
            setAt(0);
          }}
          onKeyDown={onKey}
        />
        <button type="button" className="btn ghost sm" onClick={() => show("")}>
          <kbd>Esc</kbd> <span className="vh">Close</span>
        </button>
      </div>
      <div
        className="pal-list"
        role="listbox"
        id={`${id}-list`}
        aria-label="Found"
        ref={list}
        aria-busy={busy}
      >
        {shown.map((group) => (
          <div key={group.title} role="group" aria-labelledby={`${id}-of-${group.title}`}>
            <div className="pal-h" id={`${id}-of-${group.title}`}>
              {group.title}
            </div>
            {group.items.map((item) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: keys come to the field
              <div
                key={item.id}
                id={`${id}-${item.id}`}
                role="option"
                aria-selected={item === current}
                className="pal-o"
                onPointerMove={() => setAt(items.indexOf(item))}
                onClick={(event) => take(item, event.ctrlKey || event.metaKey)}
              >
                {item.state ? (
                  <StateMark state={item.state} label={WORDS[item.state]} />
                ) : (
                  <Icon name={item.icon ?? "play"} />
                )}
                <span className="trunc pal-t">
                  <Marked text={item.title} typed={typed} />
                  {item.about ? <span className="m3"> {item.about}</span> : null}
                </span>
                {item.hint ? <Keys keys={item.hint} /> : null}
              </div>
            ))}
          </div>
        ))}
        {items.length ? null : (
          <p className="pal-none m2">
            {busy ? "Looking…" : `Nothing is called ${typed.trim()}. Part of a name is enough.`}
          </p>
        )}
        {error ? <ProblemNote error={error} /> : null}
      </div>
      <div className="pal-foot small m3">
        <span>
          <kbd>↑</kbd> <kbd>↓</kbd> choose
        </span>
        <span>
          <kbd>↵</kbd> go or do
        </span>
        <span>
          <kbd>Ctrl ↵</kbd> new tab
        </span>
        <span className="grow" />
        <button type="button" className="btn ghost sm" onClick={() => show("keys")}>
          All keys <kbd>?</kbd>
        </button>
      </div>
      <p className="vh" role="status">
        {busy ? "" : `${plural(items.length, "result")}`}
      </p>
    </Modal>
  );
}

function useFound(typed: string) {
  const [settled, setSettled] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSettled(typed.trim()), SETTLED);
    return () => clearTimeout(timer);
  }, [typed]);
  const projects = useQuery({
    queryKey: ["palette", "projects", settled],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects", { params: { query: { text: settled, limit: PROJECTS } }, signal })),
    placeholderData: (old) => old,
  });
  const pipelines = useQuery({
    queryKey: ["pipelines"],
    queryFn: ({ signal }) => taken(api.GET("/api/v1/pipelines", { signal })),
    staleTime: 60_000,
  });
  const nodes = useQuery({ ...nodesQuery, staleTime: 60_000 });
  return {
    busy: projects.isFetching || settled !== typed.trim(),
    error: projects.error,
    projects: useMemo(
      () =>
        (projects.data?.items ?? []).map(
          (row): Item => ({
            id: `project:${row.id}`,
            title: row.name,
            about: [row.pipeline, ...row.tags].join(" · "),
            state: projectState(row),
            to: `/projects/${row.id}`,
            kind: "project",
          }),
        ),
      [projects.data],
    ),
    pipelines: useMemo(
      () =>
        (pipelines.data?.items ?? []).map(
          (shelf): Item => ({
            id: `pipeline:${shelf.name}`,
            title: shelf.title || shelf.name,
            about: shelf.title ? shelf.name : "",
            words: `${shelf.name} ${shelf.description}`,
            icon: "pipelines",
            to: `/pipelines/edit?name=${encodeURIComponent(shelf.name)}`,
            kind: "pipeline",
          }),
        ),
      [pipelines.data],
    ),
    nodes: useMemo(
      () =>
        (nodes.data?.items ?? []).map(
          (node): Item => ({
            id: `node:${node.name}`,
            title: node.name,
            about: node.gpus.map((gpu) => gpu.model).join(", "),
            words: node.tags.join(" "),
            icon: "nodes",
            to: `/nodes#${encodeURIComponent(node.name)}`,
            kind: "node",
          }),
        ),
      [nodes.data],
    ),
  };
}

function Marked({ text, typed }: { text: string; typed: string }) {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const [from, to] of match(text, typed).spans) {
    parts.push(text.slice(at, from), <mark key={from}>{text.slice(from, to)}</mark>);
    at = to;
  }
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  );
}

/** "g p" as two keys, one after the other. */
export function Keys({ keys }: { keys: string }) {
  return (
    <span className="keys">
      {keys.split(" ").map((key, place, all) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: "g g" is twice the same key
        <kbd key={place}>{NAMES[key] ?? (all[0] === "Ctrl" && place ? key.toUpperCase() : key)}</kbd>
      ))}
    </span>
  );
}

const NAMES: Record<string, string> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Enter: "↵",
  Escape: "Esc",
};
