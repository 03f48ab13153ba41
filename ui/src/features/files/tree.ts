/** The folders of a space as the rows of a tree: which are shown, and where a key leads. Pure. */

export interface Folder {
  name: string;
  path: string;
  writable: boolean;
}

/** What is known of an open folder. */
export interface Inside {
  folders: readonly Folder[];
  /** it has more than are told here */
  more: boolean;
}

export interface Row extends Folder {
  /** 1 for the root, as ARIA counts */
  level: number;
  /** its place among the folders beside it, from 1, and how many they are */
  at: number;
  of: number;
  /** empty: it is known to have no folders in it */
  state: "open" | "closed" | "empty";
  /** of its folders only the first are shown */
  more: boolean;
}

/** The folders above one, the root first: "a/b/c" lies in "", "a" and "a/b". */
export function above(path: string): string[] {
  if (!path) return [];
  const parts = path.split("/");
  return parts.map((_, at) => parts.slice(0, at).join("/"));
}

/** Of those that are open, the ones that can be seen: nothing above them is closed. */
export function inSight(open: ReadonlySet<string>): string[] {
  return [...open].filter((path) => above(path).every((each) => open.has(each)));
}

export function rowsOf(
  root: Folder,
  open: ReadonlySet<string>,
  inside: ReadonlyMap<string, Inside>,
): readonly Row[] {
  const rows: Row[] = [];
  const walk = (folder: Folder, level: number, at: number, of: number) => {
    const known = inside.get(folder.path);
    const empty = known?.folders.length === 0;
    const state = empty ? "empty" : open.has(folder.path) ? "open" : "closed";
    rows.push({ ...folder, level, at, of, state, more: state === "open" && (known?.more ?? false) });
    if (state === "open")
      known?.folders.forEach((each, index) => {
        walk(each, level + 1, index + 1, known.folders.length);
      });
  };
  walk(root, 1, 1, 1);
  return rows;
}

/** The row of a folder; where it is not shown, of the nearest above it that is. */
export function rowAt(rows: readonly Row[], path: string): number {
  const places = new Map(rows.map((row, at) => [row.path, at]));
  for (const each of [path, ...above(path).toReversed()]) {
    const at = places.get(each);
    if (at !== undefined) return at;
  }
  return 0;
}

export type Move = { does: "go" | "open" | "close" | "show"; path: string };

/** What a key does on a row, as the ARIA practices have it for trees; null: nothing of a tree's. */
export function moved(rows: readonly Row[], at: number, key: string): Move | null {
  const row = rows[at];
  if (!row) return null;
  const go = (to: number): Move => ({ does: "go", path: (rows[to] ?? row).path });
  switch (key) {
    case "ArrowDown":
      return go(at + 1);
    case "ArrowUp":
      return go(at - 1);
    case "Home":
      return go(0);
    case "End":
      return go(rows.length - 1);
    case "ArrowRight":
      if (row.state === "closed") return { does: "open", path: row.path };
      return go((rows[at + 1]?.level ?? 0) > row.level ? at + 1 : at);
    case "ArrowLeft":
      if (row.state === "open") return { does: "close", path: row.path };
      return { does: "go", path: above(row.path).at(-1) ?? row.path };
    case "Enter":
    case " ":
      return { does: "show", path: row.path };
    default:
      return null;
  }
}
