/** What a person has changed in the form, and the command that it becomes. Pure. */
import type { components } from "@/api/schema";
import { mistakeIn } from "@/shared/ParameterInput.tsx";
import type { Command } from "@/shared/project.ts";

export type Form = components["schemas"]["FormView"];
export type Field = components["schemas"]["FormField"];
export type Resources = components["schemas"]["Resources"];

export interface Draft {
  /** by name, as texts */
  values: Record<string, string>;
  /** names that are swept over: the text that says how */
  sweeps: Record<string, string>;
  /** variables that this run has beyond what is there */
  added: string[];
  resources: Resources | null;
  image: string | null;
  command: string[] | null;
  workspace: string | null;
  after: number[] | null;
  comment: string;
  atOnce: boolean;
  pauseAfter: boolean;
  /** lined up only: a pause of the project goes on */
  keepPaused: boolean;
  sweepWorkspace: "separate" | "shared" | "nested";
  goOnAfterFailure: boolean;
  maxRunning: number;
}

export function fresh(form: Form): Draft {
  const sweeps = Object.fromEntries(
    Object.entries(form.grid ?? {}).map(([name, values]) => [name, values.join("|")]),
  );
  return {
    values: {},
    sweeps,
    added: [],
    resources: null,
    image: null,
    command: null,
    workspace: null,
    after: null,
    comment: "",
    atOnce: false,
    pauseAfter: false,
    keepPaused: false,
    sweepWorkspace: "separate",
    goOnAfterFailure: form.sweep.on_failure === "continue",
    maxRunning: form.sweep.max_running ?? 4,
  };
}

export function textOf(field: Field, draft: Draft): string {
  return draft.values[field.name] ?? field.value ?? "";
}

export function changed(field: Field, draft: Draft): boolean {
  return (
    field.name in draft.sweeps ||
    (field.name in draft.values && draft.values[field.name] !== (field.value ?? ""))
  );
}

/** What still lacks a value. */
export function missing(form: Form, draft: Draft): string[] {
  return form.fields
    .filter((f) => f.required && !textOf(f, draft) && !(f.name in draft.sweeps))
    .map((f) => f.name);
}

/** Said in place; empty: it is well. */
export function mistake(field: Field, text: string): string {
  return mistakeIn(field.parameter, text, field.required ?? false);
}

/** "Whole number, 20 to 100,000. "; empty where nothing limits it. */
export function limitsOf(field: Pick<Field, "parameter">): string {
  const p = field.parameter;
  if (!p || (p.min == null && p.max == null)) return "";
  const kind = p.kind === "integer" ? "Whole number" : "Number";
  const range =
    p.min == null
      ? `up to ${grouped(p.max)}`
      : p.max == null
        ? `from ${grouped(p.min)}`
        : `${grouped(p.min)} to ${grouped(p.max)}`;
  return `${kind}, ${range}. `;
}

/** The limits are kept as they were written; only their thousands are told apart. */
function grouped(text: string | number | null | undefined): string {
  const [whole = "", ...rest] = String(text).split(".");
  return [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...rest].join(".");
}

/** `grid` as the server has worked the sweeps out. */
export function commandOf(
  form: Form,
  draft: Draft,
  redo: number | null,
  grid: Record<string, string[]>,
): Command {
  const overrides = overridesOf(form, draft);
  const sweeping = Object.keys(grid).length > 0;
  const common = {
    overrides,
    sweep: grid,
    sweep_workspace: sweeping ? draft.sweepWorkspace : ("" as const),
    max_running: sweeping ? draft.maxRunning : null,
    comment: draft.comment,
    pause_after: draft.pauseAfter,
    at_once: draft.atOnce,
    resume: !draft.keepPaused,
  };
  if (redo !== null) return { kind: "redo_stage", stage: redo, ...common };
  return {
    kind: "enqueue_stage",
    id: form.id,
    after: draft.after ?? form.bases.filter((b) => b.suggested).map((b) => b.number),
    ...common,
  };
}

/** What waits in line is changed where it stands. */
export function changeOf(form: Form, draft: Draft, stage: number): Command {
  return {
    kind: "change_queued",
    stage,
    overrides: overridesOf(form, draft),
    comment: draft.comment,
    pause_after: draft.pauseAfter,
  };
}

/** The executions that a run can go on from, by the stages that it needs: where there is a choice. */
export function choices(
  form: Pick<Form, "bases">,
  needs: readonly string[],
): { id: string; bases: Form["bases"] }[] {
  return needs
    .map((id) => ({ id, bases: form.bases.filter((b) => b.id === id) }))
    .filter(({ bases }) => bases.length > 1);
}

/** The one that is gone on from: chosen, or taken by itself. */
export function baseOf(form: Pick<Form, "bases">, after: readonly number[] | null, id: string): number {
  const bases = form.bases.filter((b) => b.id === id);
  return (bases.find((b) => after?.includes(b.number)) ?? bases.find((b) => b.suggested))?.number ?? 0;
}

/** All that a run goes on from, with another execution of one of them. What those were made from comes with them. */
export function afterWith(
  form: Pick<Form, "bases">,
  needs: readonly string[],
  after: readonly number[] | null,
  chosen: number,
): number[] {
  const id = form.bases.find((b) => b.number === chosen)?.id;
  return needs.map((need) => (need === id ? chosen : baseOf(form, after, need))).filter((n) => n > 0);
}

/** Of a redo all that the blueprint had is kept, since an override that is given replaces it whole. */
function overridesOf(form: Form, draft: Draft): components["schemas"]["Overrides"] {
  const values: Record<string, string> = {};
  const environment: Record<string, string> = {};
  for (const name of draft.added) environment[name] = draft.values[name] ?? "";
  for (const field of form.fields) {
    const kept = field.origin === "blueprint" && field.value != null ? field.value : undefined;
    const text = draft.values[field.name] ?? kept;
    if (text === undefined || field.name in draft.sweeps) continue;
    if (field.kind === "variable") environment[field.name] = text;
    else values[field.name] = text;
  }
  return {
    values,
    environment,
    resources:
      draft.resources ?? (form.resources.origin === "blueprint" ? (form.resources.value as Resources) : null),
    image: draft.image || (form.image.origin === "blueprint" ? (form.image.value as string) : null),
    command: draft.command ?? (form.command.origin === "blueprint" ? (form.command.value as string[]) : null),
    entrypoint: form.entrypoint.origin === "blueprint" ? (form.entrypoint.value as string[]) : null,
    workspace:
      draft.workspace ?? (form.workspace.origin === "blueprint" ? (form.workspace.value as string) : null),
    timeout: form.timeout.origin === "blueprint" ? (form.timeout.value as number) : null,
  };
}

/** The same from the command line. */
export function shellOf(project: string, form: Form, draft: Draft, redo: number | null): string {
  const quote = (text: string) =>
    /^[\w./:=|@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [redo !== null ? `winslow redo ${project} ${redo}` : `winslow enqueue ${project} ${form.id}`];
  for (const [name, text] of Object.entries(draft.values)) parts.push(`--set ${quote(`${name}=${text}`)}`);
  for (const [name, text] of Object.entries(draft.sweeps)) parts.push(`--sweep ${quote(`${name}=${text}`)}`);
  if (draft.comment) parts.push(`--comment ${quote(draft.comment)}`);
  return parts.join(" \\\n  ");
}
