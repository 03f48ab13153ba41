/** One value: what it is, its field by kind, where it comes from; one value or several. */
import { useState } from "react";
import { count } from "@/design/format.ts";
import { Button, Tag } from "@/design/parts.tsx";
import { originWord } from "@/shared/origin.ts";
import { FILES, ParameterInput } from "@/shared/ParameterInput.tsx";
import { changed, type Draft, type Field, limitsOf, mistake, textOf } from "./draft.ts";

const SHOWN = 24; // values of a sweep

export function ValueField({
  field,
  draft,
  grid,
  alone = false,
  onChange,
}: {
  field: Field;
  draft: Draft;
  grid: Record<string, string[]>;
  /** one execution that is there already: one value */
  alone?: boolean;
  onChange: (next: Partial<Draft>) => void;
}) {
  const parameter = field.parameter;
  const text = textOf(field, draft);
  const sweeping = field.name in draft.sweeps;
  const swept = grid[field.name] ?? [];
  const blue = changed(field, draft);
  const error = sweeping ? "" : mistake(field, text);
  const [touched, setTouched] = useState(false);
  const id = `value-${field.name}`;
  const set = (value: string) => onChange({ values: { ...draft.values, [field.name]: value } });
  const sweep = (value: string | null) => {
    const { [field.name]: _, ...rest } = draft.sweeps;
    onChange({ sweeps: value === null ? rest : { ...rest, [field.name]: value } });
  };
  const sweepable = !alone && parameter && !FILES.includes(parameter.kind) && parameter.kind !== "boolean";
  return (
    <div className={sweepable ? "value" : "value wide"} data-changed={blue || undefined}>
      <label htmlFor={id}>
        {field.title ? <span>{field.title}</span> : null}
        <code>{field.name}</code>
      </label>
      <div className="col gap-s">
        {sweeping ? (
          <>
            <input
              id={id}
              className="in mono"
              value={draft.sweeps[field.name]}
              placeholder={
                parameter?.kind === "choice" ? (parameter.options ?? []).join("|") : "100..500:100"
              }
              onChange={(event) => sweep(event.target.value)}
            />
            <span className="row wrap">
              {swept.slice(0, SHOWN).map((value) => (
                <Tag key={value} kind="acc">
                  {value}
                </Tag>
              ))}
              {swept.length > SHOWN ? (
                <span className="small m3" title={swept.slice(SHOWN).join(", ")}>
                  and {count(swept.length - SHOWN)} more, to {swept.at(-1)}
                </span>
              ) : null}
            </span>
          </>
        ) : (
          <ParameterInput
            id={id}
            parameter={parameter}
            value={text}
            bad={touched && !!error}
            onBlur={() => setTouched(true)}
            onChange={set}
          />
        )}
        {touched && error ? <span className="err">{error}</span> : null}
      </div>
      {sweepable ? (
        <div className="seg" role="group" aria-label={`${field.name}: one value or several`}>
          <button type="button" aria-pressed={!sweeping} onClick={() => sweep(null)}>
            One
          </button>
          <button
            type="button"
            aria-pressed={sweeping}
            onClick={() =>
              sweep(
                parameter?.kind === "choice" ? (parameter.options ?? []).join("|") : text ? `${text}, ` : "",
              )
            }
          >
            Sweep
          </button>
        </div>
      ) : null}
      <div id={`${id}-help`} className="help">
        {describe(field)}
        {blue && !sweeping ? (
          <>
            {" "}
            Was <s>{field.value || "empty"}</s>{" "}
            <Button
              small
              look="ghost"
              onClick={() => {
                const { [field.name]: _, ...rest } = draft.values;
                onChange({ values: rest });
              }}
            >
              Undo
            </Button>
          </>
        ) : (
          <Tag>{originWord(field.origin)}</Tag>
        )}
      </div>
    </div>
  );
}

function describe(field: Field): string {
  return `${limitsOf(field)}${field.help} `;
}
