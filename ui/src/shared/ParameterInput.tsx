/** The field for a value, by the kind of its parameter. */
import type { components } from "@/api/schema";
import { InputPicker } from "./InputPicker.tsx";

export type Parameter = components["schemas"]["Parameter"];
export const FILES = ["file", "files", "folder"];

export function ParameterInput({
  id,
  parameter,
  value,
  bad,
  onBlur,
  onChange,
}: {
  id: string;
  parameter: Parameter | null | undefined;
  value: string;
  bad?: boolean;
  onBlur?: () => void;
  onChange: (value: string) => void;
}) {
  if (parameter && FILES.includes(parameter.kind)) {
    return (
      <InputPicker
        id={id}
        kind={parameter.kind as "file"}
        accept={parameter.accept ?? []}
        value={value}
        onChange={onChange}
      />
    );
  }
  if (parameter?.kind === "choice") {
    return (
      <div className="seg" role="radiogroup" id={id} aria-label={parameter.title || id}>
        {(parameter.options ?? []).map((option) => (
          <button
            key={option}
            type="button"
            role="radio"
            aria-checked={value === option}
            onClick={() => onChange(option)}
          >
            {option}
          </button>
        ))}
      </div>
    );
  }
  if (parameter?.kind === "boolean") {
    return (
      <label className="row">
        <input
          id={id}
          type="checkbox"
          checked={value === "true"}
          onChange={(event) => onChange(event.target.checked ? "true" : "false")}
        />
        {value === "true" ? "yes" : "no"}
      </label>
    );
  }
  return (
    <input
      id={id}
      className="in"
      inputMode={
        parameter?.kind === "integer" ? "numeric" : parameter?.kind === "number" ? "decimal" : undefined
      }
      value={value}
      aria-invalid={bad}
      aria-describedby={`${id}-help`}
      onBlur={onBlur}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** Said in place, before the server says it as well; empty: it is well. */
export function mistakeIn(parameter: Parameter | null | undefined, text: string, required: boolean): string {
  if (!text) return required ? "It needs a value." : "";
  if (!parameter) return "";
  const number = Number(text);
  if (parameter.kind === "integer" && !/^[+-]?\d+$/.test(text)) return "A whole number, please.";
  if (parameter.kind === "number" && (Number.isNaN(number) || !text.trim())) return "A number, please.";
  if (parameter.kind === "integer" || parameter.kind === "number") {
    if (parameter.min != null && number < Number(parameter.min)) return `At least ${parameter.min}.`;
    if (parameter.max != null && number > Number(parameter.max)) return `At most ${parameter.max}.`;
  }
  if (parameter.kind === "choice" && !(parameter.options ?? []).includes(text)) {
    return `One of ${(parameter.options ?? []).join(", ")}.`;
  }
  return "";
}
