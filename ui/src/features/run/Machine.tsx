/** What one stage gets of a machine. */
import { useState } from "react";
import { bytes } from "@/design/format.ts";
import { Button } from "@/design/parts.tsx";
import type { Resources } from "./draft.ts";
import { sizeOf } from "./sizes.ts";

export function Machine({
  value,
  inherited,
  changed,
  onChange,
}: {
  value: Resources;
  inherited: Resources;
  changed: boolean;
  onChange: (next: Resources | null) => void;
}) {
  const gpu = value.gpu;
  return (
    <section className="part">
      <div>
        <h2>Machine</h2>
        <p className="small m2">per stage</p>
      </div>
      <div>
        <div className="machine">
          <Amount
            label="CPU"
            text={`${value.cpu}`}
            parse={(t) => positive(Number(t.replace(/\s*cores?$/, "")))}
            onChange={(cpu) => onChange({ ...value, cpu })}
          />
          <Amount
            label="Memory"
            text={bytes(value.memory)}
            parse={sizeOf}
            onChange={(memory) => onChange({ ...value, memory })}
          />
          <Amount
            label="GPUs"
            text={`${gpu?.count ?? 0}`}
            parse={(t) => whole(Number(t))}
            onChange={(count) =>
              onChange({ ...value, gpu: count ? { memory: 0, model: "", ...gpu, count } : null })
            }
          />
          {gpu ? (
            <>
              <Amount
                label="GPU memory"
                text={gpu.memory ? bytes(gpu.memory) : "any"}
                parse={(t) => (t === "any" ? 0 : sizeOf(t))}
                onChange={(memory) => onChange({ ...value, gpu: { ...gpu, memory } })}
              />
              <label className="field">
                <span className="lbl">GPU model</span>
                <input
                  className="in"
                  placeholder="any"
                  value={gpu.model ?? ""}
                  onChange={(event) => onChange({ ...value, gpu: { ...gpu, model: event.target.value } })}
                />
              </label>
            </>
          ) : null}
        </div>
        {changed ? (
          <p className="help">
            Was {inherited.cpu} cores, {bytes(inherited.memory)}.{" "}
            <Button small look="ghost" onClick={() => onChange(null)}>
              Undo
            </Button>
          </p>
        ) : null}
      </div>
    </section>
  );
}

function positive(n: number): number | null {
  return n > 0 && n < 1e6 ? n : null;
}

function whole(n: number): number | null {
  return Number.isInteger(n) && n >= 0 && n < 1e3 ? n : null;
}

/** Free to type; counted when it can be read. */
function Amount({
  label,
  text,
  parse,
  onChange,
}: {
  label: string;
  text: string;
  parse: (text: string) => number | null;
  onChange: (n: number) => void;
}) {
  const [typed, setTyped] = useState<string | null>(null);
  const bad = typed !== null && parse(typed.trim()) === null;
  return (
    <label className="field">
      <span className="lbl">{label}</span>
      <input
        className="in"
        value={typed ?? text}
        aria-invalid={bad}
        onChange={(event) => {
          setTyped(event.target.value);
          const read = parse(event.target.value.trim());
          if (read !== null) onChange(read);
        }}
        onBlur={() => {
          if (!bad) setTyped(null);
        }}
      />
    </label>
  );
}
