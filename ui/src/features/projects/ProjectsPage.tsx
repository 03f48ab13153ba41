/** Home: what waits for a person, and every project, live. Filter, group and order stand in the address. */
import { Menu, Modal } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { type FormEvent, lazy, Suspense, useCallback, useMemo, useRef, useState } from "react";
import { count } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Skeleton } from "@/design/parts.tsx";
import { type State, StateMark } from "@/design/state.tsx";
import { useKeys } from "@/shared/keys.ts";
import { useSession } from "@/shared/session.ts";
import { TopBar } from "@/shared/TopBar.tsx";
import { useTitle } from "@/shared/title.ts";
import { given, searchOf, useViews } from "@/shared/views.ts";
import { BulkBar } from "./BulkBar.tsx";
import { useFound, useLiveRows, useVersion } from "./hooks.ts";
import { InboxStrip } from "./InboxStrip.tsx";
import { type GroupBy, items as itemsOf, type Sort } from "./order.ts";
import { ProjectList } from "./ProjectList.tsx";
import { QueryField } from "./QueryField.tsx";
import { parse, toggled, written } from "./query.ts";
import { rows } from "./rows.ts";
import "./projects.css";

const FirstRun = lazy(() => import("@/shared/FirstRun.tsx").then((m) => ({ default: m.FirstRun })));
const CHIPS: [State, string][] = [
  ["running", "Running"],
  ["waiting", "Waiting"],
  ["paused", "Paused"],
  ["failed", "Failed"],
  ["queued", "Queued"],
  ["idle", "Idle"],
  ["succeeded", "Succeeded"],
];
const GROUPS: [GroupBy, string][] = [
  ["", "nothing"],
  ["tag", "tag"],
  ["pipeline", "pipeline"],
  ["state", "state"],
  ["author", "author"],
];

export interface ProjectsSearch {
  q?: string;
  group?: GroupBy;
  sort?: Sort;
}

export function ProjectsPage() {
  const search = useSearch({ from: "/inside/projects" });
  const navigate = useNavigate();
  const { q = "", group = "", sort = "updated" } = search;
  const latest = useRef(search);
  latest.current = search;
  const me = useSession()?.user ?? "";
  useTitle("Projects");
  useLiveRows();
  const version = useVersion();
  const found = useFound(q, sort);
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [anchor, setAnchor] = useState("");
  const [current, setCurrent] = useState(-1);
  const [saving, setSaving] = useState(false);
  const items = useMemo(() => itemsOf(found, group, closed), [found, group, closed]);

  const go = useCallback(
    (next: ProjectsSearch) =>
      void navigate({
        to: "/projects",
        search: searchOf({ ...latest.current, ...next }) as ProjectsSearch,
        replace: true,
      }),
    [navigate],
  );
  const select = useCallback(
    (id: string, on: boolean, range: boolean) => {
      const ids = items.flatMap((item) => (item.kind === "row" ? [item.id] : []));
      const [a, b] = [ids.indexOf(anchor), ids.indexOf(id)];
      const span = range && a >= 0 ? ids.slice(Math.min(a, b), Math.max(a, b) + 1) : [id];
      setSelected((old) => {
        const next = new Set(old);
        for (const each of span) on ? next.add(each) : next.delete(each);
        return next;
      });
      setAnchor(id);
    },
    [items, anchor],
  );
  const onTag = useCallback(
    (tag: string, not: boolean) => go({ q: toggled(q, { key: "tag", value: tag, not }) }),
    [go, q],
  );
  const onToggle = useCallback((name: string) => {
    setClosed((old) => {
      const next = new Set(old);
      if (!next.delete(name)) next.add(name);
      return next;
    });
  }, []);
  const step = (by: number) =>
    setCurrent((at) => {
      let next = at + by;
      while (items[next]?.kind === "group") next += by;
      return items[next] ? next : at;
    });
  const chosen = items[current];
  const down = { does: "The next project", act: () => step(1), palette: false } as const;
  const up = { does: "The one before", act: () => step(-1), palette: false } as const;
  useKeys("Projects", {
    n: { does: "New project", act: () => void navigate({ to: "/projects/new" }) },
    "/": { does: "Filter", act: () => document.getElementById("filter")?.focus() },
    j: down,
    ArrowDown: down,
    k: up,
    ArrowUp: up,
    ...(chosen?.kind === "row"
      ? {
          Enter: {
            does: "Open it",
            palette: false,
            act: () => void navigate({ to: "/projects/$project", params: { project: chosen.id } }),
          },
          x: {
            does: "Select it",
            palette: false,
            act: () => select(chosen.id, !selected.has(chosen.id), false),
          },
        }
      : {}),
    Escape: { does: "Select none", palette: false, act: () => setSelected(new Set()) },
  });

  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the rows
  const all = useMemo(() => rows.list(), [version]);
  const counts = useMemo(() => {
    const by: Record<string, number> = {};
    for (const row of all) by[row.state] = (by[row.state] ?? 0) + 1;
    return by;
  }, [all]);
  const suggest = useMemo(() => {
    const unique = (values: string[]) => [...new Set(values)].filter(Boolean).sort();
    return {
      state: CHIPS.map(([state]) => state),
      tag: unique(all.flatMap((r) => r.tags)),
      pipeline: unique(all.map((r) => r.pipeline)),
      author: unique(all.map((r) => r.author)),
      node: unique(all.map((r) => r.current?.node ?? "")),
      updated: ["<1h", "<24h", "<7d", "<14d", ">30d"],
      created: ["<1h", "<24h", "<7d", "<14d", ">30d"],
    };
  }, [all]);
  const terms = parse(q).map(written);

  if (rows.error && !rows.ready) {
    return (
      <>
        <TopBar>
          <b>Projects</b>
        </TopBar>
        <div className="page">
          <ProblemPage
            error={rows.error}
            title="The list could not be loaded"
            again={() => void rows.load()}
          />
        </div>
      </>
    );
  }
  return (
    <>
      <TopBar>
        <b>Projects</b>
      </TopBar>
      <h1 className="vh">Projects</h1>
      <div className="page p-page">
        <InboxStrip rows={all} />
        <section aria-label="Projects" className="p-section">
          <div className="bar-f wrap">
            <button
              type="button"
              className="chip"
              aria-pressed={!terms.some((t) => t.startsWith("state:"))}
              onClick={() => go({ q: without(q) })}
            >
              All <b>{count(all.length)}</b>
            </button>
            {CHIPS.filter(([state]) => counts[state] || terms.includes(`state:${state}`)).map(
              ([state, word]) => (
                <button
                  key={state}
                  type="button"
                  className="chip"
                  data-s={state}
                  aria-pressed={terms.includes(`state:${state}`)}
                  onClick={() => go({ q: toggled(q, { key: "state", value: state, not: false }) })}
                >
                  <StateMark state={state} />
                  {word} <b>{count(counts[state] ?? 0)}</b>
                </button>
              ),
            )}
            <span className="grow" />
            <Views
              me={me}
              onTake={(view) => go({ q: view.q, group: view.group as GroupBy, sort: view.sort as Sort })}
            />
            <Menu position="bottom-end">
              <Menu.Target>
                <Button small icon="group">
                  Group: {GROUPS.find(([g]) => g === group)?.[1]}
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                {GROUPS.map(([by, word]) => (
                  <Menu.Item key={by} onClick={() => go({ group: by })}>
                    {word}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          </div>
          <div className="bar-f">
            <QueryField query={q} suggest={suggest} onChange={(next) => go({ q: next })} />
            <Button className="wide" disabled={!q && !group} onClick={() => setSaving(true)}>
              Save view
            </Button>
            <Button
              look={all.length ? "primary" : "plain"}
              icon="plus"
              hotkey="n"
              onClick={() => void navigate({ to: "/projects/new" })}
            >
              New project
            </Button>
          </div>
          {rows.pending ? (
            <button type="button" className="changes" onClick={() => rows.hold(false)}>
              {count(rows.pending)} changes · apply
            </button>
          ) : null}
          {!rows.ready ? (
            <Skeleton rows={8} />
          ) : items.length ? (
            <ProjectList
              items={items}
              total={found.length}
              me={me}
              sort={sort}
              onSort={(next) => go({ sort: next })}
              selected={selected}
              onSelect={select}
              onSelectAll={(on) => setSelected(new Set(on ? found.map((r) => r.id) : []))}
              onTag={onTag}
              onToggle={onToggle}
              current={current}
            />
          ) : (
            <Nothing query={q} hidden={all.length} onClear={() => go({ q: "" })} />
          )}
        </section>
      </div>
      <BulkBar selected={selected} onClear={() => setSelected(new Set())} />
      <SaveView opened={saving} onClose={() => setSaving(false)} view={{ q, group, sort }} />
    </>
  );
}

function without(query: string): string {
  return parse(query)
    .filter((t) => t.key !== "state")
    .map(written)
    .join(" ");
}

function Nothing({ query, hidden, onClear }: { query: string; hidden: number; onClear: () => void }) {
  const navigate = useNavigate();
  const role = useSession()?.role;
  if (query && hidden) {
    return (
      <Empty
        icon="filter"
        title="No project matches"
        action={<Button onClick={onClear}>Clear the filter</Button>}
      >
        {count(hidden)} projects are hidden by <code>{query}</code>
      </Empty>
    );
  }
  if (!hidden && (role === "member" || role === "maintainer" || role === "admin")) {
    return (
      <Suspense fallback={<Skeleton rows={4} />}>
        <FirstRun />
      </Suspense>
    );
  }
  return (
    <Empty
      icon="projects"
      title="No projects yet"
      action={
        <Button look="primary" icon="plus" onClick={() => void navigate({ to: "/projects/new" })}>
          New project
        </Button>
      }
    >
      A project is one video on its way through a pipeline.
    </Empty>
  );
}

function Views({
  me,
  onTake,
}: {
  me: string;
  onTake: (view: { q: string; group: string; sort: string }) => void;
}) {
  const { own, remove } = useViews();
  return (
    <Menu position="bottom-end" width={240}>
      <Menu.Target>
        <Button small icon="star">
          Views
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {given(me).map((view) => (
          <Menu.Item key={view.name} onClick={() => onTake(view)}>
            {view.name}
          </Menu.Item>
        ))}
        {own.length ? <Menu.Divider /> : null}
        {own.map((view) => (
          <Menu.Item
            key={view.name}
            onClick={() => onTake(view)}
            rightSection={<RemoveView name={view.name} onRemove={remove} />}
          >
            {view.name}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

function RemoveView({ name, onRemove }: { name: string; onRemove: (name: string) => void }) {
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a button in a menu's item would be a button in a button
    // biome-ignore lint/a11y/useKeyWithClickEvents: views can be overwritten by saving under the same name
    <span
      title={`Forget ${name}`}
      onClick={(event) => {
        event.stopPropagation();
        onRemove(name);
      }}
    >
      <Icon name="x" />
    </span>
  );
}

function SaveView({
  opened,
  onClose,
  view,
}: {
  opened: boolean;
  onClose: () => void;
  view: { q: string; group: string; sort: string };
}) {
  const save = useViews((s) => s.save);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    save({ ...view, name: String(new FormData(event.currentTarget).get("name")).trim() });
    onClose();
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Save this view" centered>
      <form onSubmit={submit} className="col gap">
        <label className="field">
          <span className="lbl">Name</span>
          <input className="in" name="name" required maxLength={40} data-autofocus />
        </label>
        <p className="help">
          <code>{view.q || "everything"}</code> {view.group ? `by ${view.group}` : ""}. It is kept in this
          browser.
        </p>
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit">
            Save view
          </Button>
        </div>
      </form>
    </Modal>
  );
}
