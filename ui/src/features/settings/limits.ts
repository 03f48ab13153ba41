/** The setting `limits` as rows of a form: read from its one text, written back, and put into words. What may stand in it is
 *  decided by the server alone; here is only what would mix up rows. Pure. */

export const AMOUNTS = [
  { name: "stages", word: "Stages at once" },
  { name: "gpus", word: "GPUs" },
  { name: "cpu", word: "CPU cores" },
  { name: "memory", word: "Memory, in GiB" },
] as const;
export type Amount = (typeof AMOUNTS)[number]["name"];
export type Kind = "everyone" | "group" | "person";

export interface Row {
  /** Of this form alone: rows keep their fields while others go. */
  id: number;
  kind: Kind;
  /** A log-in name or that of a group; empty for everybody. */
  name: string;
  /** As they are typed; empty: no limit. */
  amounts: Record<Amount, string>;
  /** What this page does not know is kept as it is. */
  rest: string[];
}

const KNOWN: readonly string[] = AMOUNTS.map((amount) => amount.name);
const NONE: Row["amounts"] = { stages: "", gpus: "", cpu: "", memory: "" };

let made = 0;

export function newRow(kind: Kind = "person"): Row {
  made += 1;
  return { id: made, kind, name: "", amounts: { ...NONE }, rest: [] };
}

export function rowsOf(text: string): Row[] {
  return text
    .split(";")
    .map((entry) => entry.split(/\s+/).filter(Boolean))
    .filter((words) => words.length > 0)
    .map(([who = "", ...pairs]) => {
      const kind: Kind = who === "@everyone" ? "everyone" : who.startsWith("@") ? "group" : "person";
      const row = newRow(kind);
      row.name = kind === "everyone" ? "" : who.replace(/^@/, "");
      for (const pair of pairs) {
        const [name = "", value = ""] = pair.split("=");
        if (KNOWN.includes(name)) row.amounts[name as Amount] = shown(name, value);
        else row.rest.push(pair);
      }
      return row;
    });
}

/** GiB are plain numbers, other units stay as they were written. */
function shown(name: string, value: string): string {
  return name === "memory" ? value.replace(/GiB$/, "").replace(/([A-Z])/, " $1") : value;
}

export function textOf(rows: readonly Row[]): string {
  return rows.map(entryOf).join("; ");
}

function entryOf(row: Row): string {
  const pairs = AMOUNTS.map(({ name }) => [name, written(name, row.amounts[name])])
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}=${value}`);
  return [whoOf(row), ...pairs, ...row.rest].join(" ");
}

function written(name: Amount, typed: string): string {
  const plain = typed.trim().replace(/^(\d+),(\d+)/, "$1.$2");
  if (name !== "memory") return plain;
  return /^[\d.]+$/.test(plain) ? `${plain}GiB` : plain.replace(/^([\d.]+)\s+/, "$1");
}

/** As entries and sentences name it. */
export function whoOf(row: Row): string {
  if (row.kind === "everyone") return "@everyone";
  const name = row.name.trim().replace(/^@/, "");
  return row.kind === "group" ? `@${name}` : name;
}

/** What would become another row, or none; the rest is left to the server. */
export function mixedUp(row: Row): string {
  if (row.kind !== "everyone" && !row.name.trim()) return row.kind === "group" ? "Which group?" : "Who?";
  const texts = [whoOf(row), ...AMOUNTS.map(({ name }) => written(name, row.amounts[name]))];
  return texts.some((text) => /[\s;=]/.test(text)) ? "Spaces, ; and = cannot be in here." : "";
}

/** By the row that each is about, of the fields the server found wrong: limits.0 is the first. */
export function wrongRows(
  places: readonly { field: string; message: string }[],
  rows: readonly Row[],
): Record<number, string> {
  const found: Record<number, string> = {};
  for (const place of places) {
    const row = rows[Number(/^limits\.(\d+)$/.exec(place.field)?.[1] ?? Number.NaN)];
    if (row) found[row.id] = place.message;
  }
  return found;
}

/** What a row does, as a sentence. */
export function sentence(row: Row): string {
  const { stages, gpus, cpu, memory } = row.amounts;
  const parts = [
    stages.trim() && `${stages.trim()} ${stages.trim() === "1" ? "stage" : "stages"}`,
    gpus.trim() &&
      (gpus.trim() === "0" ? "no GPU" : `${gpus.trim()} ${gpus.trim() === "1" ? "GPU" : "GPUs"}`),
    cpu.trim() && `${cpu.trim()} ${cpu.trim() === "1" ? "core" : "cores"}`,
    memory.trim() && `${written("memory", memory).replace(/([A-Z].*)$/, " $1")} of memory`,
  ].filter(Boolean);
  if (!parts.length) return "";
  const name = row.name.trim().replace(/^@/, "");
  const who =
    row.kind === "everyone"
      ? "Everybody without a row of their own or of a group"
      : row.kind === "group"
        ? `Each member of ${name || "the group"}`
        : name || "This person";
  const listed =
    parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts[parts.length - 1]}` : parts[0];
  return `${who} may have ${listed} in use at a time${parts.length < 4 ? ", and of the rest whatever is free" : ""}.`;
}
