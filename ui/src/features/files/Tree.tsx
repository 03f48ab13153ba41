/** The folders of a space beside the list: opened as they are asked for, thousands of them, by mouse or by keys.
 *  Shows what the list shows, from the same endpoint, and is made new with it. */
import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type MouseEvent, useEffect, useId, useMemo, useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import { count } from "@/design/format.ts";
import { Icon } from "@/design/Icon.tsx";
import { type State, StateMark, WORDS } from "@/design/state.tsx";
import { putOpened, useOpened } from "./opened.ts";
import { above, type Folder, type Inside, inSight, moved, rowAt, rowsOf } from "./tree.ts";

const ROW = 28;
const PAGE = 1000;
const MOST = 20_000; // folders of one folder; the list goes on

const keyOf = (space: string, path: string) => ["files", space, path, "folders"] as const;

/** The folders come before the files: what is behind the first file is not asked for. */
async function inside(space: string, path: string, signal: AbortSignal): Promise<Inside> {
  const folders: Folder[] = [];
  let after = "";
  do {
    const page = await taken(
      api.GET("/api/v1/files/{space}/list", {
        params: { path: { space }, query: { path, limit: PAGE, after, sort: "name" } },
        signal,
      }),
    );
    const found = page.items.filter((each) => each.kind === "folder");
    folders.push(...found.map(({ name, path, writable }) => ({ name, path, writable: writable ?? false })));
    after = found.length === page.items.length ? page.next : "";
  } while (after && folders.length < MOST);
  return { folders, more: after !== "" };
}

export function Tree({
  space,
  path,
  root,
  writable,
  over,
  states,
  onPath,
}: {
  space: string;
  path: string;
  root: string;
  /** whether the top takes files */
  writable: boolean;
  /** the folder that something is held over; null: none */
  over: string | null;
  /** of the stages that folders belong to, by path */
  states?: ReadonlyMap<string, State>;
  onPath: (path: string) => void;
}) {
  const client = useQueryClient();
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const open = useOpened(space);
  const [active, setActive] = useState(path);
  const asked = useMemo(() => inSight(open), [open]);
  const found = useQueries({
    queries: asked.map((each) => ({
      queryKey: keyOf(space, each),
      queryFn: ({ signal }: { signal: AbortSignal }) => inside(space, each, signal),
    })),
  });
  const told = found.map((each) => each.dataUpdatedAt).join();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the answers are new in every drawing, what they say only when told
  const rows = useMemo(() => {
    const known = new Map<string, Inside>();
    for (const [at, each] of asked.entries()) {
      const data = found[at]?.data;
      if (data) known.set(each, data);
    }
    return rowsOf({ name: root, path: "", writable }, open, known);
  }, [asked, open, told, root, writable]);
  const gone = asked
    .filter((each, at) => each && found[at]?.error && asProblem(found[at]?.error).status === 404)
    .join("\0");
  // what was deleted or renamed is not asked for again and again
  useEffect(() => {
    if (gone) putOpened(space, gone.split("\0"), false);
  }, [space, gone]);
  const asking = new Map(asked.map((each, at) => [each, found[at]?.status]));

  useEffect(() => {
    setActive(path);
    putOpened(space, above(path), true);
    // the list reads the folder it comes to; so does the tree
    void client.refetchQueries({ queryKey: keyOf(space, path), stale: true, type: "active" });
  }, [client, space, path]);

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    getItemKey: (index) => rows[index]?.path ?? index,
    overscan: 12,
  });
  const at = useMemo(() => rowAt(rows, active), [rows, active]);
  const there = rows[at]?.path;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the row is brought into sight when another one is, not when rows come above it
  useEffect(() => virtual.scrollToIndex(at, { align: "auto" }), [there]);

  const items = virtual.getVirtualItems();
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = moved(rows, at, event.key);
    if (!move) return;
    event.preventDefault();
    if (move.does === "show") onPath(move.path);
    else if (move.does === "go") setActive(move.path);
    else putOpened(space, [move.path], move.does === "open");
  };
  const onClick = (event: MouseEvent) => {
    const target = event.target as Element;
    const row = rows.find((each) => each.path === folderAt(target)?.path);
    if (!row) return;
    setActive(row.path);
    if (target.closest(".t-twist") && row.state !== "empty")
      putOpened(space, [row.path], row.state === "closed");
    else onPath(row.path);
  };
  return (
    <div className="files-tree">
      <div
        ref={box}
        className="t-box"
        role="tree"
        aria-label="Folders"
        tabIndex={0}
        aria-activedescendant={items.some((each) => each.index === at) ? `${id}${at}` : undefined}
        onKeyDown={onKeyDown}
        onClick={onClick}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const state = asking.get(row.path);
            const stage = states?.get(row.path);
            return (
              <div
                key={item.key}
                id={`${id}${item.index}`}
                role="treeitem"
                className="t-row"
                title={row.name}
                aria-level={row.level}
                aria-posinset={row.at}
                aria-setsize={row.of}
                aria-expanded={row.state === "empty" ? undefined : row.state === "open"}
                aria-selected={row.path === path}
                aria-busy={state === "pending" || undefined}
                data-active={item.index === at || undefined}
                data-over={row.path === over || undefined}
                data-folder={row.path}
                data-writable={row.writable || undefined}
                style={{
                  transform: `translateY(${item.start}px)`,
                  paddingLeft: 4 + Math.min(row.level - 1, 12) * 14,
                }}
              >
                <span className="t-twist">
                  {row.state === "empty" ? null : <Icon name={row.state === "open" ? "cd" : "cr"} />}
                </span>
                <Icon name={row.path ? "folder" : space === "inputs" ? "resources" : "projects"} />
                <span className="trunc">{row.name}</span>
                {state === "error" ? <span className="m3 small">could not be read</span> : null}
                {stage ? <StateMark state={stage} label={WORDS[stage]} /> : null}
                {row.more ? <span className="m3 small">first {count(MOST)}</span> : null}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** The folder of the tree that an element of the page belongs to; null: none. */
export function folderAt(target: Element): { path: string; writable: boolean } | null {
  const row = target.closest<HTMLElement>("[data-folder]");
  return row ? { path: row.dataset.folder ?? "", writable: row.dataset.writable !== undefined } : null;
}
