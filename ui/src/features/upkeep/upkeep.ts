/** What a project may use, what it keeps, and what lies on the disk for it: read from what people type, and put into words. Pure. */
import type { components } from "@/api/schema";
import { bytes, count, plural } from "@/design/format.ts";

export type Allowance = components["schemas"]["Allowance"];
export type Leftover = components["schemas"]["Leftover"];
type Part = components["schemas"]["Part"];
type Resources = components["schemas"]["Resources"];

const GIB = 2 ** 30;
const AT_WORK = ["preparing", "submitted", "running"];

export type Limited = "stages" | "gpus" | "cpu" | "memory";
/** As they are typed; empty: no limit. Memory in GiB. */
export type Typed = Record<Limited, string>;

interface Field {
  name: Limited;
  word: string;
  unit: string;
  least: number;
  whole: boolean;
}

export const LIMITS: readonly Field[] = [
  { name: "stages", word: "Stages at once", unit: "", least: 1, whole: true },
  { name: "gpus", word: "GPUs", unit: "", least: 0, whole: true },
  { name: "cpu", word: "CPU cores", unit: "", least: 0.1, whole: false },
  { name: "memory", word: "Memory, in GiB", unit: "GiB", least: 0.1, whole: false },
];
const MOST = 1_000_000;

export function typedOf(limit: Allowance): Typed {
  return {
    stages: text(limit.stages),
    gpus: text(limit.gpus),
    cpu: text(limit.cpu),
    memory: text(limit.memory == null ? null : Number((limit.memory / GIB).toFixed(3))),
  };
}

function text(value: number | null | undefined): string {
  return value == null ? "" : String(value);
}

/** `wrong`: what is the matter, by field; none: `limit` may be sent. */
export function limitOf(typed: Typed): { limit: Allowance; wrong: Partial<Record<Limited, string>> } {
  const limit: Allowance = {};
  const wrong: Partial<Record<Limited, string>> = {};
  for (const field of LIMITS) {
    const given = typed[field.name].trim();
    if (!given) continue;
    const value = numberIn(given);
    if (value === null) wrong[field.name] = "A number, or nothing for no limit.";
    else if (field.whole && !Number.isInteger(value)) wrong[field.name] = "A whole number.";
    else if (value < field.least) wrong[field.name] = `At least ${field.least}; leave it empty for no limit.`;
    else if (value > MOST) wrong[field.name] = `At most ${count(MOST)}.`;
    else limit[field.name] = field.name === "memory" ? Math.round(value * GIB) : value;
  }
  return { limit, wrong };
}

/** Days as they are typed; null: as the installation says; NaN: that is no time. */
export function daysOf(typed: string): number | null {
  if (!typed.trim()) return null;
  const value = numberIn(typed);
  return value === null || value < 0 || value > 36_500 ? Number.NaN : value;
}

/** With a point or a comma. */
function numberIn(typed: string): number | null {
  const plain = typed.trim().replace(",", ".");
  return /^\d+(\.\d+)?$/.test(plain) ? Number(plain) : null;
}

function needs(resources: Resources | undefined): Required<Record<Limited, number>> {
  return {
    stages: 1,
    gpus: resources?.gpu?.count ?? 0,
    cpu: resources?.cpu ?? 1,
    memory: Math.max(resources?.memory ?? GIB, resources?.memory_max ?? 0),
  };
}

interface Definition {
  id: string;
  resources?: Resources;
}

export function inUse(
  stages: readonly { id: string; state: string }[],
  definitions: readonly Definition[],
): Record<Limited, number> {
  const sum = { stages: 0, gpus: 0, cpu: 0, memory: 0 };
  for (const stage of stages) {
    if (!AT_WORK.includes(stage.state)) continue;
    const one = needs(definitions.find((d) => d.id === stage.id)?.resources);
    for (const { name } of LIMITS) sum[name] += one[name];
  }
  return sum;
}

export function amount(name: Limited, value: number): string {
  if (name === "memory") return `${bytes(value)} of memory`;
  const nouns = { stages: "stage", gpus: "GPU", cpu: "core" };
  return plural(value, nouns[name]);
}

/** What a limit means before it is set: stages that it lets never start, and what is in use beyond it already. */
export function consequences(
  limit: Allowance,
  stages: readonly { id: string; state: string }[],
  definitions: readonly Definition[],
): string[] {
  const found: string[] = [];
  for (const definition of definitions) {
    const one = needs(definition.resources);
    const beyond = LIMITS.find(({ name }) => limit[name] != null && one[name] > (limit[name] as number));
    if (beyond)
      found.push(
        `${definition.id} needs ${amount(beyond.name, one[beyond.name])}, so it could never start: the project would pause there.`,
      );
  }
  const used = inUse(stages, definitions);
  for (const { name } of LIMITS) {
    const most = limit[name];
    if (most == null || used[name] <= most) continue;
    found.push(
      `${amount(name, used[name])} ${used[name] === 1 ? "is" : "are"} in use now. What runs goes on; nothing new starts until it is less.`,
    );
  }
  return found;
}

/** Bytes of all that was counted, and how many were not. */
export function sum(items: readonly { bytes?: number | null }[]): { bytes: number; unknown: number } {
  return {
    bytes: items.reduce((total, each) => total + (each.bytes ?? 0), 0),
    unknown: items.filter((each) => each.bytes == null).length,
  };
}

/** "71 GiB", "more than 71 GiB" where something was not counted in time, "of a size not counted yet". */
export function sizeOf(items: readonly { bytes?: number | null }[]): string {
  const { bytes: known, unknown } = sum(items);
  if (!unknown) return bytes(known);
  return known ? `more than ${bytes(known)}` : "of a size not counted yet";
}

/** "2 workspaces and 1 output". */
export function whatGoes(items: readonly Leftover[]): string {
  const outputs = items.filter((each) => each.why.startsWith("output")).length;
  const workspaces = items.length - outputs;
  return [
    workspaces ? plural(workspaces, "workspace") : "",
    outputs ? plural(outputs, "output of replaced attempts", "outputs of replaced attempts") : "",
  ]
    .filter(Boolean)
    .join(" and ");
}

export interface OnDisk {
  name: string;
  /** 0: of no stage */
  number: number;
  workspace: number;
  output: number;
  /** logs and records */
  rest: number;
  total: number;
}

/** Of each stage, all attempts together, the largest first. */
export function onDisk(parts: readonly Part[]): OnDisk[] {
  const rows = new Map<string, OnDisk>();
  for (const part of parts) {
    const [, , kind = "", folder = ""] = part.path.split("/");
    const number = kind === "stages" ? Number.parseInt(folder, 10) || 0 : 0;
    const name = number
      ? folder.slice(folder.indexOf("-") + 1)
      : kind === "sweeps"
        ? `shared workspace of sweep ${folder}`
        : "files given before the first stage";
    const key = `${kind}/${folder}`;
    const row = rows.get(key) ?? { name, number, workspace: 0, output: 0, rest: 0, total: 0 };
    const { workspace = 0, output = 0 } = number ? part.inside : { workspace: part.bytes };
    row.workspace += workspace;
    row.output += output;
    row.rest += Math.max(0, part.bytes - workspace - output);
    row.total += part.bytes;
    rows.set(key, row);
  }
  return [...rows.values()].filter((row) => row.total > 0).sort((a, b) => b.total - a.total);
}
