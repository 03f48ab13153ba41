/** A folder of the input pool or of a project: list, preview, and what can be done with what is in it. */
import { Modal } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type ChangeEvent,
  type DragEvent,
  type FormEvent,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { api, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { bytes, count, plural } from "@/design/format.ts";
import { Icon, type IconName } from "@/design/Icon.tsx";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Button, Empty, Skeleton, Tag } from "@/design/parts.tsx";
import { type State, StateMark, WORDS } from "@/design/state.tsx";
import { Ago } from "@/design/time.tsx";
import { addressOf, hasTime, kindOf } from "@/shared/files.ts";
import { useKeys } from "@/shared/keys.ts";
import { useSession } from "@/shared/session.ts";
import { chosenFiles, dropped, sendAll } from "@/shared/transfers.ts";
import { undoable } from "@/shared/undo.tsx";
import { useFollowed, useHeld } from "./follow.ts";
import { type Column, type Order, pressed, sortOf } from "./order.ts";
import { Preview } from "./Preview.tsx";
import { Trash, takeBack } from "./Trash.tsx";
import { folderAt, Tree } from "./Tree.tsx";
import "./files.css";

export type Entry = components["schemas"]["winslow_nomad__core__filing__Entry"];

const ROW = 32;
const ROW_TOUCHED = 44; // a finger needs that much
const PAGE = 500;
// the widths at which the folders have room beside the list, and beside list and preview; below, the path leads everywhere
const WIDE = "(min-width: 900px)";
const WIDER = "(min-width: 1200px)";
const TAKES_FOLDERS = "webkitdirectory" in HTMLInputElement.prototype;

export interface BrowserProps {
  space: string;
  path: string;
  onPath: (path: string, file?: string) => void;
  /** name of the entry that is previewed */
  file: string;
  order: Order;
  onOrder: (order: Order) => void;
  root: string;
  empty: string;
  /** of the stages that folders belong to, by path */
  states?: ReadonlyMap<string, State>;
}

export function Browser({ space, path, onPath, file, order, onOrder, root, empty, states }: BrowserProps) {
  const client = useQueryClient();
  const [filter, setFilter] = useState("");
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<"" | "folder" | "rename" | "delete" | "trash">("");
  const [over, setOver] = useState<string | null>(null); // the folder that something is held over
  const [held, setHeld] = useState(false); // the pointer or the keyboard is at a row
  const field = useRef<HTMLInputElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const folderChooser = useRef<HTMLInputElement>(null);
  const parts = path ? path.split("/") : [];
  const key = useMemo(() => ["files", space, path, order] as const, [space, path, order]);
  const list = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ signal, pageParam }) =>
      taken(
        api.GET("/api/v1/files/{space}/list", {
          params: { path: { space }, query: { path, limit: PAGE, after: pageParam, sort: order } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    // in another order the same folder stays until it is there
    placeholderData: (before, query) =>
      query?.queryKey[1] === space && query.queryKey[2] === path ? before : undefined,
  });
  const folder = useQuery({
    queryKey: ["files", space, path, "info"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/files/{space}/info", { params: { path: { space }, query: { path } }, signal })),
  });
  const all = useMemo(() => (list.data?.pages ?? []).flatMap((p) => p.items), [list.data]);
  useFollowed(space, path);
  const found = useMemo(() => {
    const wanted = filter.toLowerCase();
    return wanted ? all.filter((e) => e.name.toLowerCase().includes(wanted)) : all;
  }, [all, filter]);
  const which = list.isPlaceholderData ? "" : [space, path, order, filter].join("\0");
  const entries = useHeld(found, which, held);
  const role = useSession()?.role;
  // the top of the pool itself can be neither renamed nor deleted, but filled
  const top = space === "inputs" && !path;
  const writable = role !== "viewer" && (top || (folder.data?.writable ?? false));
  const shown = all.find((e) => e.name === file);
  const wide = useMediaQuery(shown ? WIDER : WIDE, undefined, { getInitialValueInEffect: false });
  const gone = !!parts.length && list.error !== null && asProblem(list.error).status === 404;
  const chosen = all.filter((e) => selected.has(e.name));
  const refresh = () => client.invalidateQueries({ queryKey: ["files", space] });
  useKeys("Files", {
    "/": { does: "Find a file", act: () => field.current?.focus() },
    Escape: {
      does: "Close the preview, select none",
      palette: false,
      act: () => (file ? onPath(path) : setSelected(new Set())),
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another folder has other entries
  useEffect(() => setSelected(new Set()), [path, space]);

  const bring = async (files: { path: string; file: File }[], into = path) => {
    await sendAll(space, into, files);
    await refresh();
  };
  const onTaken = (event: ChangeEvent<HTMLInputElement>) => {
    void bring(chosenFiles(event.target.files ?? []));
    event.target.value = "";
  };
  /** Where something that is held over an element would go; null: it is not taken there. */
  const taker = (target: EventTarget): string | null => {
    const row = folderAt(target as Element);
    if (row) return row.writable && role !== "viewer" ? row.path : null;
    return writable ? path : null;
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(null);
    const into = taker(event.target);
    if (into !== null) void dropped(event.dataTransfer).then((files) => bring(files, into));
  };
  const download = chosen.length === 1 ? chosen[0] : undefined;
  return (
    <section
      aria-label="Files"
      className="files"
      data-over={over === path || undefined}
      data-preview={shown ? "" : undefined}
      data-tree={wide || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        const into = taker(event.target);
        event.dataTransfer.dropEffect = into === null ? "none" : "copy";
        setOver(into);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(null);
      }}
      onDrop={onDrop}
    >
      {wide ? (
        <Tree
          space={space}
          path={path}
          root={root}
          writable={space === "inputs" && role !== "viewer"}
          over={over}
          states={states}
          onPath={onPath}
        />
      ) : null}
      <div className="files-main">
        <nav className="files-path" aria-label="Folder">
          <button type="button" aria-current={parts.length ? undefined : "page"} onClick={() => onPath("")}>
            {root}
          </button>
          {parts.map((part, at) => (
            <span key={parts.slice(0, at + 1).join("/")} className="row">
              /
              <button
                type="button"
                aria-current={at === parts.length - 1 ? "page" : undefined}
                onClick={() => onPath(parts.slice(0, at + 1).join("/"))}
              >
                {part}
              </button>
            </span>
          ))}
          <span className="grow" />
          {folder.data && !writable ? (
            <Tag>
              <Icon name="lock" /> read-only
            </Tag>
          ) : null}
        </nav>
        <div className="files-bar wrap">
          {writable ? (
            <>
              <Button
                small
                look={all.length ? "plain" : "primary"}
                icon="up"
                onClick={() => chooser.current?.click()}
              >
                Upload
              </Button>
              <input
                ref={chooser}
                type="file"
                multiple
                hidden
                aria-label="Files to upload"
                onChange={onTaken}
              />
              {TAKES_FOLDERS ? (
                <>
                  <Button small icon="up" onClick={() => folderChooser.current?.click()}>
                    Upload folder
                  </Button>
                  <input
                    ref={folderChooser}
                    type="file"
                    {...{ webkitdirectory: "" }}
                    hidden
                    aria-label="Folder to upload"
                    onChange={onTaken}
                  />
                </>
              ) : null}
              <Button small icon="folder" onClick={() => setAsking("folder")}>
                New folder
              </Button>
            </>
          ) : null}
          {download ? (
            <a
              className="btn sm"
              href={
                download.kind === "folder"
                  ? archive(space, download.path)
                  : addressOf(space, download.path, "content")
              }
              download
            >
              <Icon name="down" />
              {download.kind === "folder" ? "Download as zip" : `Download, ${bytes(download.bytes)}`}
            </a>
          ) : all.length ? (
            <a className="btn ghost sm" href={archive(space, path)} download>
              <Icon name="down" />
              Folder as zip
            </a>
          ) : null}
          {writable && download && /\.(zip|tar\.gz|tgz)$/i.test(download.name) ? (
            <Unpack space={space} entry={download} onDone={refresh} />
          ) : null}
          {writable && download ? (
            <Button small look="ghost" icon="edit" onClick={() => setAsking("rename")}>
              Rename
            </Button>
          ) : null}
          {writable && chosen.length ? (
            <Button small look="ghost" className="danger" icon="trash" onClick={() => setAsking("delete")}>
              Delete
            </Button>
          ) : null}
          <div className="files-end">
            {writable ? (
              <Button small look="ghost" icon="trash" onClick={() => setAsking("trash")}>
                Deleted files
              </Button>
            ) : null}
            <input
              ref={field}
              className="in files-filter"
              aria-label="Filter"
              placeholder="filter  /"
              value={filter}
              onChange={(event) => setFilter(event.target.value)}
            />
          </div>
        </div>
        {gone ? (
          <Empty
            icon="folder"
            title={list.data ? "This folder is not there any more" : "This folder is not there"}
            action={
              <Button onClick={() => onPath(parts.slice(0, -1).join("/"))}>
                Go to {parts.at(-2) ?? root}
              </Button>
            }
          >
            It may have been renamed, moved or deleted, or it is not shared with you.
          </Empty>
        ) : list.error && list.data ? (
          <ProblemNote error={list.error} />
        ) : list.error ? (
          <ProblemPage
            error={list.error}
            again={() => void list.refetch()}
            title="This folder could not be read"
          />
        ) : null}
        {!list.data && !list.error ? <Skeleton rows={8} height={ROW} /> : null}
        {list.data && !gone && !entries.length ? (
          <Empty icon="folder" title={filter ? "Nothing is called like that" : "Nothing here yet"}>
            {filter
              ? `${plural(all.length, "entry", "entries")} hidden by the filter.`
              : writable
                ? empty
                : "Nothing was written here."}
          </Empty>
        ) : null}
        {entries.length && !gone ? (
          <Rows
            entries={entries}
            states={states}
            current={file}
            selected={selected}
            order={order}
            onOrder={onOrder}
            onHold={setHeld}
            onSelect={(name, on) =>
              setSelected((old) => {
                const next = new Set(old);
                if (on) next.add(name);
                else next.delete(name);
                return next;
              })
            }
            onOpen={(entry) =>
              onPath(
                entry.kind === "folder" ? entry.path : path,
                entry.kind === "folder" ? undefined : entry.name,
              )
            }
            onEnd={() => {
              if (list.hasNextPage && !list.isFetchingNextPage && !list.isPlaceholderData)
                void list.fetchNextPage();
            }}
          />
        ) : null}
        {all.length && !gone ? (
          <p className="files-foot small m3">
            {contents(all)}
            {list.hasNextPage ? " and more" : ""}.
            {writable ? <span className="files-drop"> Drop files or folders here to bring them.</span> : null}
          </p>
        ) : null}
      </div>
      {shown ? <Preview space={space} entry={shown} onClose={() => onPath(path)} /> : null}
      <Ask
        opened={asking === "folder"}
        title="New folder"
        label="Name"
        word="Make it"
        onClose={() => setAsking("")}
        onTake={async (name) => {
          await taken(
            api.POST("/api/v1/files/{space}/folders", {
              params: { path: { space } },
              body: { path: join(path, name) },
            }),
          );
          await refresh();
        }}
      />
      <Ask
        opened={asking === "rename"}
        title={`Rename ${download?.name}`}
        label="New name"
        value={download?.name}
        word="Rename"
        onClose={() => setAsking("")}
        onTake={async (name) => {
          if (!download) return;
          await taken(
            api.POST("/api/v1/files/{space}/rename", {
              params: { path: { space } },
              body: { from: download.path, to: join(path, name), overwrite: false },
            }),
          );
          setSelected(new Set());
          await refresh();
        }}
      />
      {asking === "trash" ? <Trash space={space} onClose={() => setAsking("")} onBack={refresh} /> : null}
      <Delete
        opened={asking === "delete"}
        space={space}
        entries={chosen}
        onClose={() => setAsking("")}
        onDone={async () => {
          setSelected(new Set());
          await refresh();
        }}
      />
    </section>
  );
}

/** "3 folders, 7 files of 1.6 MiB". */
function contents(all: readonly Entry[]): string {
  const files = all.filter((e) => e.kind === "file");
  const folders = all.length - files.length;
  const size = bytes(files.reduce((sum, e) => sum + e.bytes, 0));
  return [
    folders ? plural(folders, "folder") : "",
    files.length ? `${plural(files.length, "file")} of ${size}` : "",
  ]
    .filter(Boolean)
    .join(", ");
}

function join(path: string, name: string): string {
  return path ? `${path}/${name}` : name;
}

function archive(space: string, path: string): string {
  return `/api/v1/files/${encodeURIComponent(space)}/archive?format=zip&path=${encodeURIComponent(path)}`;
}

const ICONS: Record<string, IconName> = {
  folder: "folder",
  image: "image",
  video: "video",
  table: "csv",
  text: "file",
  page: "file",
  other: "file",
};

function Rows({
  entries,
  states,
  current,
  selected,
  order,
  onOrder,
  onHold,
  onSelect,
  onOpen,
  onEnd,
}: {
  entries: readonly Entry[];
  states?: ReadonlyMap<string, State>;
  current: string;
  selected: ReadonlySet<string>;
  order: Order;
  onOrder: (order: Order) => void;
  onHold: (held: boolean) => void;
  onSelect: (name: string, on: boolean) => void;
  onOpen: (entry: Entry) => void;
  onEnd: () => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState(false);
  const [focused, setFocused] = useState(false);
  useEffect(() => {
    onHold(pointed || focused);
    return () => onHold(false);
  }, [pointed, focused, onHold]);
  const height = useMediaQuery("(max-width: 760px)") ? ROW_TOUCHED : ROW;
  const virtual = useVirtualizer({
    count: entries.length,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    overscan: 12,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows of another height stand elsewhere
  useEffect(() => virtual.measure(), [height]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another order is read from its beginning
  useEffect(() => virtual.scrollToOffset(0), [order]);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (last >= entries.length - 20) onEnd();
  });
  const head = (name: Column, word: string) => {
    const sort = sortOf(order, name);
    return (
      <span role="columnheader" className={`f-${name}`} aria-sort={sort}>
        <button type="button" onClick={() => onOrder(pressed(order, name))}>
          {word}
          {sort ? <Icon name={sort === "ascending" ? "cu" : "cd"} /> : null}
        </button>
      </span>
    );
  };
  return (
    <div className="f-list" role="table" aria-label="Entries" aria-rowcount={entries.length + 1}>
      <div role="row" className="f-row f-head">
        <span role="columnheader">
          <span className="vh">Chosen</span>
        </span>
        {head("name", "Name")}
        {head("size", "Size")}
        {head("modified", "Changed")}
      </div>
      <div
        ref={box}
        className="f-body"
        role="rowgroup"
        onPointerEnter={(event) => setPointed(event.pointerType === "mouse")}
        onPointerLeave={() => setPointed(false)}
        onFocus={(event) => setFocused(event.target.matches(":focus-visible"))}
        onBlur={() => setFocused(false)}
      >
        <div style={{ height: virtual.getTotalSize(), position: "relative" }}>
          {items.map((item) => {
            const entry = entries[item.index];
            if (!entry) return null;
            const stage = states?.get(entry.path);
            return (
              <div
                key={entry.name}
                role="row"
                className="f-row"
                aria-selected={selected.has(entry.name) || entry.name === current}
                style={{ position: "absolute", insetInline: 0, transform: `translateY(${item.start}px)` }}
              >
                <span role="cell">
                  <input
                    type="checkbox"
                    aria-label={`Choose ${entry.name}`}
                    checked={selected.has(entry.name)}
                    onChange={(event) => onSelect(entry.name, event.target.checked)}
                  />
                </span>
                <span role="cell" className="f-name">
                  <button type="button" onClick={() => onOpen(entry)}>
                    <Icon name={ICONS[entry.kind === "folder" ? "folder" : kindOf(entry.name)] ?? "file"} />
                    <span className="trunc">{entry.name}</span>
                    {stage ? <StateMark state={stage} label={WORDS[stage]} /> : null}
                  </button>
                </span>
                <span role="cell" className="f-size">
                  {entry.kind === "folder" ? "" : bytes(entry.bytes)}
                </span>
                <span role="cell" className="f-modified m2">
                  {hasTime(entry) && <Ago at={entry.modified} />}
                </span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Ask({
  opened,
  title,
  label,
  value,
  word,
  onClose,
  onTake,
}: {
  opened: boolean;
  title: string;
  label: string;
  value?: string;
  word: string;
  onClose: () => void;
  onTake: (text: string) => Promise<void>;
}) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("text")).trim();
    setBusy(true);
    try {
      await onTake(text);
      setError(null);
      onClose();
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal opened={opened} onClose={onClose} title={title} centered>
      <form className="col gap" onSubmit={submit}>
        <label className="field">
          <span className="lbl">{label}</span>
          <input className="in" name="text" defaultValue={value} required maxLength={255} data-autofocus />
        </label>
        {error ? <ProblemNote error={error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" busy={busy}>
            {word}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Delete({
  opened,
  space,
  entries,
  onClose,
  onDone,
}: {
  opened: boolean;
  space: string;
  entries: Entry[];
  onClose: () => void;
  onDone: () => Promise<void>;
}) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const word = entries.length === 1 ? (entries[0]?.name ?? "") : plural(entries.length, "entry", "entries");
  const go = async () => {
    setBusy(true);
    setError(null);
    try {
      const gone: string[] = [];
      for (const entry of entries) {
        const { trash } = await taken(
          api.DELETE("/api/v1/files/{space}/content", {
            params: { path: { space }, query: { path: entry.path } },
          }),
        );
        gone.push(trash);
      }
      onClose();
      undoable(`${word} ${entries.length === 1 ? "is" : "are"} in the trash.`, async () => {
        for (const each of gone) await takeBack(space, each);
        await onDone();
      });
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
      await onDone();
    }
  };
  return (
    <Modal opened={opened} onClose={onClose} title={`Delete ${word}?`} centered>
      <div className="col gap">
        <p>
          It moves to the trash, where it stays for some days. Stages that want to read it will not find it.
        </p>
        {error ? <ProblemNote error={error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Keep it</Button>
          <Button look="danger solid" busy={busy} onClick={() => void go()}>
            Delete {count(entries.length) === "1" ? "it" : word}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

function Unpack({ space, entry, onDone }: { space: string; entry: Entry; onDone: () => Promise<void> }) {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState("");
  const go = async () => {
    setError(null);
    try {
      const into = entry.path.replace(/\.(zip|tar\.gz|tgz)$/i, "");
      const operation = await taken(
        api.POST("/api/v1/files/{space}/unpack", {
          params: { path: { space } },
          body: { path: entry.path, into },
        }),
      );
      setBusy((operation as { id: string }).id);
    } catch (problem) {
      setError(problem);
    }
  };
  const operation = useQuery({
    queryKey: ["operations", busy],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/operations/{operation}", { params: { path: { operation: busy } }, signal })),
    enabled: !!busy,
    refetchInterval: (query) =>
      ["done", "failed", "cancelled"].includes(query.state.data?.state ?? "") ? false : 500,
  });
  const state = operation.data?.state;
  useEffect(() => {
    if (state === "done") void onDone();
  }, [state, onDone]);
  if (error) return <ProblemNote error={error} />;
  if (busy && state !== "done")
    return (
      <span className="small m2">
        {state === "failed" ? operation.data?.text : `unpacking, ${bytes(operation.data?.bytes_done ?? 0)}`}
      </span>
    );
  return (
    <Button small look="ghost" onClick={() => void go()}>
      Unpack
    </Button>
  );
}
