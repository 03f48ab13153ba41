/** How the rows that are shown follow each other. Pure. */
import type { Row } from "./rows.ts";

export type Sort = "updated" | "created" | "name" | "state" | "time";
export type GroupBy = "" | "tag" | "pipeline" | "state" | "author";

const URGENCY = ["waiting", "paused", "failed", "running", "queued", "idle", "succeeded"];

export function compare(sort: Sort): (a: Row, b: Row) => number {
  const text = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  switch (sort) {
    case "name":
      return (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || text(a.id, b.id);
    case "created":
      return (a, b) => text(b.created ?? "", a.created ?? "") || text(a.id, b.id);
    case "state":
      return (a, b) =>
        URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state) || text(b.updated, a.updated) || text(a.id, b.id);
    case "time":
      return (a, b) => b.seconds - a.seconds || text(a.id, b.id);
    default:
      return (a, b) => text(b.updated, a.updated) || text(a.id, b.id);
  }
}

export interface Group {
  name: string;
  rows: Row[];
  /** how many per state, most urgent first */
  states: [string, number][];
}

export type Item = { kind: "group"; group: Group; open: boolean } | { kind: "row"; id: string };

function keysOf(row: Row, by: GroupBy): string[] {
  switch (by) {
    case "tag":
      return row.tags.length ? row.tags : ["without a tag"];
    case "pipeline":
      return [row.pipeline];
    case "state":
      return [row.state];
    case "author":
      return [row.author || "nobody"];
    default:
      return [];
  }
}

/** Groups by name, those without a tag last; a project with two tags stands in both. */
export function grouped(rows: Row[], by: GroupBy): Group[] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    for (const key of keysOf(row, by)) {
      const group = groups.get(key);
      if (group) group.push(row);
      else groups.set(key, [row]);
    }
  }
  const names = [...groups.keys()].sort((a, b) => {
    const rank = (name: string) =>
      by === "state" ? URGENCY.indexOf(name) : name === "without a tag" ? 1 : 0;
    return rank(a) - rank(b) || a.localeCompare(b, "en", { numeric: true });
  });
  return names.map((name) => {
    const own = groups.get(name) ?? [];
    return { name, rows: own, states: states(own) };
  });
}

export function states(rows: Row[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
  return [...counts].sort((a, b) => URGENCY.indexOf(a[0]) - URGENCY.indexOf(b[0]));
}

export function items(rows: Row[], by: GroupBy, closed: ReadonlySet<string>): Item[] {
  if (!by) return rows.map((row) => ({ kind: "row", id: row.id }));
  return grouped(rows, by).flatMap((group): Item[] => {
    const open = !closed.has(group.name);
    const own: Item[] = open ? group.rows.map((row) => ({ kind: "row", id: row.id })) : [];
    return [{ kind: "group", group, open }, ...own];
  });
}
