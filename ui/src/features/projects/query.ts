/** What is typed above the list: `state:running -tag:archive pipeline:traffic* updated:<14d tunnel`. Pure. A chip on the screen is a
 *  piece of this text, and the text stands in the address. */

export interface Row {
  id: string;
  name: string;
  state: string;
  pipeline: string;
  tags?: readonly string[];
  author?: string;
  updated: string;
  created?: string | null;
  current?: { node?: string } | null;
  participants?: readonly { user: string }[];
  pause?: { kind: string } | null;
}

export interface Term {
  key: Key | "text";
  value: string;
  not: boolean;
}

export const KEYS = ["state", "tag", "pipeline", "author", "node", "updated", "created"] as const;
export type Key = (typeof KEYS)[number];

const PIECE = /-?(?:[a-z]+:)?(?:"[^"]*"|\S+)/g;

export function parse(text: string): Term[] {
  return (text.match(PIECE) ?? []).map((piece) => {
    const not = piece.startsWith("-") && piece.length > 1;
    const rest = not ? piece.slice(1) : piece;
    const colon = rest.indexOf(":");
    const key = rest.slice(0, Math.max(0, colon));
    if ((KEYS as readonly string[]).includes(key))
      return { key: key as Key, value: bare(rest.slice(colon + 1)), not };
    return { key: "text", value: bare(rest), not };
  });
}

function bare(text: string): string {
  return text.startsWith('"') && text.endsWith('"') && text.length > 1 ? text.slice(1, -1) : text;
}

export function written(term: Term): string {
  const value = /\s/.test(term.value) ? `"${term.value}"` : term.value;
  return `${term.not ? "-" : ""}${term.key === "text" ? "" : `${term.key}:`}${value}`;
}

export function joined(terms: Term[]): string {
  return terms.map(written).join(" ");
}

/** The text with one piece more, or without it when it is there already. */
export function toggled(text: string, piece: Term): string {
  const terms = parse(text);
  const without = terms.filter((t) => written(t) !== written(piece));
  return joined(without.length < terms.length ? without : [...terms, piece]);
}

const UNITS: Record<string, number> = { h: 3_600_000, d: 86_400_000, w: 604_800_000, m: 60_000 };

/** "<14d": within the last 14 days; ">2h": longer ago. Null: not a time. */
export function since(text: string): ((age: number) => boolean) | null {
  const found = /^([<>])(\d+(?:\.\d+)?)([mhdw])$/.exec(text);
  if (!found) return null;
  const limit = Number(found[2]) * (UNITS[found[3] as string] as number);
  return found[1] === "<" ? (age) => age < limit : (age) => age > limit;
}

function like(pattern: string, value: string): boolean {
  const low = value.toLowerCase();
  const wanted = pattern.toLowerCase();
  if (!wanted.includes("*")) return low === wanted;
  const source = wanted
    .split("*")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${source}$`).test(low);
}

function holds(term: Term, row: Row, now: number): boolean {
  const { key, value } = term;
  switch (key) {
    case "state":
      return like(value, row.state) || (value === "failed" && row.pause?.kind === "failure");
    case "tag":
      return (row.tags ?? []).some((tag) => like(value, tag));
    case "pipeline":
      return like(value, row.pipeline);
    case "author":
      return like(value, row.author ?? "");
    case "node":
      return like(value, row.current?.node ?? "");
    case "updated":
      return since(value)?.(now - Date.parse(row.updated)) ?? true;
    case "created":
      return since(value)?.(now - Date.parse(row.created ?? row.updated)) ?? true;
    default: {
      const wanted = value.toLowerCase();
      return [row.name, row.id, row.pipeline].some((text) => text.toLowerCase().includes(wanted));
    }
  }
}

/** Does the row belong into the list? Several states, pipelines, authors or nodes mean any of them; all else must hold. */
export function matcher(terms: Term[], now: number): (row: Row) => boolean {
  const any = new Map<string, Term[]>();
  const all: Term[] = [];
  for (const term of terms) {
    if (!term.not && ["state", "pipeline", "author", "node"].includes(term.key)) {
      any.set(term.key, [...(any.get(term.key) ?? []), term]);
    } else all.push(term);
  }
  const groups = [...any.values()];
  return (row) =>
    groups.every((group) => group.some((term) => holds(term, row, now))) &&
    all.every((term) => holds(term, row, now) !== term.not);
}
