/** What is run, and in which image: as the pipeline says, or another for this run alone. */
import { useState } from "react";
import { Button } from "@/design/parts.tsx";
import type { Draft, Form } from "./draft.ts";
import { lineOf, wordsOf } from "./words.ts";

export function Program({
  form,
  draft,
  onChange,
}: {
  form: Form;
  draft: Draft;
  onChange: (next: Partial<Draft>) => void;
}) {
  const image = draft.image ?? (form.image.value as string | null) ?? "";
  const words = draft.command ?? (form.command.value as string[] | null) ?? [];
  const was = (form.command.inherited as string[] | null) ?? [];
  return (
    <section className="part">
      <div>
        <h2>Program</h2>
        <p className="small m2">of this run alone</p>
      </div>
      <div className="col gap">
        <label className="field">
          <span className="lbl">Image</span>
          <input
            className="in mono"
            value={image}
            placeholder="as the pipeline says"
            spellCheck={false}
            onChange={(event) => onChange({ image: event.target.value })}
          />
        </label>
        {draft.image !== null ? (
          <Was text={String(form.image.inherited ?? "none")} onUndo={() => onChange({ image: null })} />
        ) : null}
        <Command words={words} onChange={(command) => onChange({ command })} />
        {draft.command !== null ? (
          <Was text={lineOf(was) || "the image's own"} onUndo={() => onChange({ command: null })} />
        ) : null}
      </div>
    </section>
  );
}

/** Free to type; taken once it can be read. */
function Command({ words, onChange }: { words: string[]; onChange: (words: string[]) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const read = typed === null ? [] : wordsOf(typed);
  const bad = read === null;
  // as it was typed, as long as it is what it became: something else has been put there since
  const text = typed !== null && (bad || lineOf(read) === lineOf(words)) ? typed : lineOf(words);
  return (
    <label className="field">
      <span className="lbl">Command</span>
      <textarea
        className="in mono"
        rows={Math.min(8, Math.max(1, text.split("\n").length))}
        value={text}
        placeholder="the image's own"
        spellCheck={false}
        aria-invalid={bad}
        onChange={(event) => {
          setTyped(event.target.value);
          const next = wordsOf(event.target.value);
          if (next) onChange(next);
        }}
      />
      <span className={bad ? "err" : "help"}>
        {bad
          ? "A quote is not closed."
          : "Words are parted by spaces, quotes hold them together. No shell reads it."}
      </span>
    </label>
  );
}

function Was({ text, onUndo }: { text: string; onUndo: () => void }) {
  return (
    <p className="help">
      Was <s className="mono">{text.length > 120 ? `${text.slice(0, 120)}…` : text}</s>{" "}
      <Button small look="ghost" onClick={onUndo}>
        Undo
      </Button>
    </p>
  );
}
