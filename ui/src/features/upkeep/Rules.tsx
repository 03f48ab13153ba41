/** How much the stages of a project may have in use at a time, and how long it keeps what nothing needs any more. */
import { type FormEvent, useState } from "react";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Note, Panel } from "@/design/parts.tsx";
import { may, type Project } from "@/shared/project.ts";
import { useDescribe } from "@/shared/undo.tsx";
import type { Left } from "./ask.ts";
import {
  type Allowance,
  amount,
  consequences,
  daysOf,
  inUse,
  LIMITS,
  type Limited,
  limitOf,
  typedOf,
} from "./upkeep.ts";

export function LimitPanel({ project }: { project: Project }) {
  const { describe, error, isPending } = useDescribe(project);
  const before = typedOf(project.limit);
  const [typed, setTyped] = useState(before);
  const { limit, wrong } = limitOf(typed);
  const definitions = project.pipeline.stages.map((step) => step.definition);
  const used = inUse(project.stages, definitions);
  const changed = LIMITS.some(({ name }) => typed[name].trim() !== before[name]);
  const bad = Object.keys(wrong).length > 0;
  const manage = may(project, "manage") && !project.trashed;
  if (!manage)
    return (
      <Panel title="In use at a time" about="of all its stages">
        <dl className="kv">
          {LIMITS.map(({ name, word }) => (
            <div key={name} className="contents">
              <dt>{word.split(",")[0]}</dt>
              <dd>{most(project.limit, name)}</dd>
            </div>
          ))}
        </dl>
      </Panel>
    );
  return (
    <Panel title="In use at a time" about="of all its stages">
      <form
        className="col gap"
        noValidate
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (bad || !changed) return;
          describe({ limit }, `What ${project.name} may use was changed.`);
        }}
      >
        <div className="limits">
          {LIMITS.map(({ name, word }) => (
            <label key={name} className="field">
              <span className="lbl">{word}</span>
              <input
                className="in"
                inputMode="decimal"
                placeholder="no limit"
                autoComplete="off"
                value={typed[name]}
                aria-invalid={!!wrong[name]}
                onChange={(event) => setTyped({ ...typed, [name]: event.target.value })}
              />
              {wrong[name] ? (
                <span className="err">{wrong[name]}</span>
              ) : used[name] ? (
                <span className="help">{amount(name, used[name])} now</span>
              ) : null}
            </label>
          ))}
        </div>
        <p className="small m2">What goes beyond it waits, and says so. What runs is never stopped by it.</p>
        <div aria-live="polite">
          {bad
            ? null
            : consequences(limit, project.stages, definitions).map((text) => (
                <Note key={text} kind="ask" icon="warn">
                  {text}
                </Note>
              ))}
        </div>
        {error ? <ProblemNote error={error} /> : null}
        <Save
          changed={changed}
          bad={bad}
          busy={isPending}
          word="Set the limits"
          onReset={() => setTyped(before)}
        />
      </form>
    </Panel>
  );
}

function most(limit: Allowance, name: Limited): string {
  const value = limit[name];
  return value == null ? "no limit" : amount(name, value);
}

export function KeepingPanel({ project, usual }: { project: Project; usual: Left | undefined }) {
  const { describe, error, isPending } = useDescribe(project);
  const before = {
    failed_days: asText(project.keep.failed_days),
    superseded_days: asText(project.keep.superseded_days),
  };
  const [typed, setTyped] = useState(before);
  const [failed, superseded] = [daysOf(typed.failed_days), daysOf(typed.superseded_days)];
  const bad = [failed, superseded].some((days) => Number.isNaN(days));
  const changed =
    typed.failed_days.trim() !== before.failed_days ||
    typed.superseded_days.trim() !== before.superseded_days;
  const manage = may(project, "manage") && !project.trashed;
  const fields = [
    {
      name: "failed_days" as const,
      word: "Workspaces of stages that failed or were stopped, in days",
      usual: usual?.failed_days,
    },
    {
      name: "superseded_days" as const,
      word: "What replaced attempts left, in days",
      usual: usual?.superseded_days,
    },
  ];
  return (
    <Panel title="How long things stay" about="then they go to the trash">
      <form
        className="col gap"
        noValidate
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          if (bad || !changed) return;
          const keep = { failed_days: failed, superseded_days: superseded };
          describe({ keep }, `How long things of ${project.name} stay was changed.`);
        }}
      >
        {fields.map((field) => (
          <label key={field.name} className="field">
            <span className="lbl">{field.word}</span>
            <input
              className="in"
              inputMode="decimal"
              autoComplete="off"
              disabled={!manage}
              placeholder={field.usual == null ? "as everywhere" : `${field.usual}, as everywhere here`}
              value={typed[field.name]}
              aria-invalid={Number.isNaN(daysOf(typed[field.name]))}
              onChange={(event) => setTyped({ ...typed, [field.name]: event.target.value })}
            />
            {Number.isNaN(daysOf(typed[field.name])) ? (
              <span className="err">A number of days, 0 for at once, or nothing.</span>
            ) : null}
          </label>
        ))}
        <p className="small m2">
          What a result was made from stays for ever, and so do outputs, logs and records.
        </p>
        {error ? <ProblemNote error={error} /> : null}
        {manage ? (
          <Save
            changed={changed}
            bad={bad}
            busy={isPending}
            word="Keep them so long"
            onReset={() => setTyped(before)}
          />
        ) : null}
      </form>
    </Panel>
  );
}

function asText(days: number | null | undefined): string {
  return days == null ? "" : String(days);
}

function Save({
  changed,
  bad,
  busy,
  word,
  onReset,
}: {
  changed: boolean;
  bad: boolean;
  busy: boolean;
  word: string;
  onReset: () => void;
}) {
  return (
    <div className="row">
      <Button type="submit" disabled={!changed || bad} busy={busy}>
        {word}
      </Button>
      {changed ? (
        <Button look="ghost" onClick={onReset}>
          As it was
        </Button>
      ) : null}
    </div>
  );
}
