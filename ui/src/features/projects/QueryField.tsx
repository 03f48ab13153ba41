/** The filter as chips and text: a chip is a piece of the text, and both can be edited. */
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Icon } from "@/design/Icon.tsx";
import { joined, KEYS, parse, type Term, written } from "./query.ts";

export function QueryField({
  query,
  onChange,
  suggest,
}: {
  query: string;
  onChange: (query: string) => void;
  suggest: Record<string, string[]>;
}) {
  const terms = parse(query);
  const chips = terms.filter((t) => t.key !== "text");
  const words = terms.filter((t) => t.key === "text");
  const [text, setText] = useState(joined(words));
  const input = useRef<HTMLInputElement>(null);
  const [at, setAt] = useState(-1);
  const outside = joined(words);
  useEffect(
    () => setText((own) => (joined(parse(own).filter((t) => t.key === "text")) === outside ? own : outside)),
    [outside],
  );

  const put = (next: string) => {
    setText(next);
    const typed = parse(next);
    const done = /\s$/.test(next);
    const complete = typed.filter((t, i) => t.key !== "text" && t.value && (done || i < typed.length - 1));
    const rest = typed.filter((t) => !complete.includes(t));
    if (complete.length) setText(joined(rest));
    onChange(joined([...chips, ...complete, ...rest.filter((t) => t.key === "text" && !/:$/.test(t.value))]));
  };
  const remove = (chip: Term) => onChange(joined(terms.filter((t) => t !== chip)));

  const last = text.split(/\s+/).at(-1) ?? "";
  const options = suggestions(last, suggest);
  const take = (option: string) => {
    const before = text.slice(0, text.length - last.length);
    put(`${before}${option}${option.endsWith(":") ? "" : " "}`);
    setAt(-1);
    input.current?.focus();
  };
  const keyed = (event: KeyboardEvent) => {
    if (event.key === "Backspace" && !text && chips.length) remove(chips.at(-1) as Term);
    else if (event.key === "Escape") {
      if (text || chips.length) onChange("");
      else input.current?.blur();
      setText("");
    } else if (event.key === "ArrowDown" && options.length) setAt((n) => Math.min(options.length - 1, n + 1));
    else if (event.key === "ArrowUp" && options.length) setAt((n) => Math.max(-1, n - 1));
    else if (event.key === "Enter" && at >= 0 && options[at]) take(options[at] as string);
    else if (event.key === "Enter") {
      put(`${text} `);
      input.current?.blur(); // on to the rows, by j and k
    } else return;
    if (event.key !== "Backspace") event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="query">
      <Icon name="search" />
      {chips.map((chip) => (
        <code key={written(chip)}>
          {written(chip)}
          <button type="button" aria-label={`Without ${written(chip)}`} onClick={() => remove(chip)}>
            <Icon name="x" />
          </button>
        </code>
      ))}
      <input
        ref={input}
        id="filter"
        role="combobox"
        aria-label="Filter"
        aria-expanded={options.length > 0}
        aria-controls="filter-options"
        aria-activedescendant={at >= 0 ? `filter-${at}` : undefined}
        autoComplete="off"
        spellCheck={false}
        value={text}
        placeholder={chips.length ? "" : "state: tag: pipeline: author: node: updated:<14d text"}
        onChange={(event) => put(event.target.value)}
        onKeyDown={keyed}
        onBlur={() => setAt(-1)}
      />
      <kbd>/</kbd>
      {options.length ? (
        <div id="filter-options" className="options" role="listbox" aria-label="Suggestions">
          {options.map((option, index) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: reached by the arrows of the field
            <div
              key={option}
              id={`filter-${index}`}
              role="option"
              aria-selected={index === at}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => take(option)}
            >
              {option}
            </div>
          ))}
        </div>
      ) : null}
    </div>
  );
}

function suggestions(last: string, known: Record<string, string[]>): string[] {
  if (!last) return [];
  const not = last.startsWith("-") ? "-" : "";
  const bare = not ? last.slice(1) : last;
  const colon = bare.indexOf(":");
  if (colon < 0)
    return bare ? KEYS.filter((k) => k.startsWith(bare) && k !== bare).map((k) => `${not}${k}:`) : [];
  const [key, value] = [bare.slice(0, colon), bare.slice(colon + 1).toLowerCase()];
  return (known[key] ?? [])
    .filter((v) => v.toLowerCase().includes(value) && v.toLowerCase() !== value)
    .slice(0, 8)
    .map((v) => `${not}${key}:${/\s/.test(v) ? `"${v}"` : v}`);
}
