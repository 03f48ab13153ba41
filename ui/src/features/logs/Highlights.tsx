/** The saved highlights for this log: switched, coloured, made and taken away. */
import { Popover } from "@mantine/core";
import { useState } from "react";
import { Button } from "@/design/parts.tsx";
import { COLOURS, type Highlight, offered, withOne } from "./highlights.ts";
import { compiled } from "./marks.ts";

export function Highlights({
  all,
  pipeline,
  onChange,
}: {
  all: Highlight[];
  pipeline: string;
  onChange: (all: Highlight[]) => void;
}) {
  const [pattern, setPattern] = useState("");
  const [only, setOnly] = useState(false);
  const own = offered(all, pipeline);
  const on = own.filter((h) => h.on).length;
  const wrong = pattern !== "" && !compiled(pattern, true);
  const change = (id: string, next: Partial<Highlight>) =>
    onChange(all.map((h) => (h.id === id ? { ...h, ...next } : h)));
  return (
    <Popover position="bottom-end" width={400} trapFocus>
      <Popover.Target>
        <Button small icon="tag" aria-pressed={on > 0}>
          Highlights{on ? ` ${on}` : ""}
        </Button>
      </Popover.Target>
      <Popover.Dropdown className="highlights">
        {own.length ? (
          <ul>
            {own.map((h) => (
              <li key={h.id}>
                <label>
                  <input
                    type="checkbox"
                    checked={h.on}
                    onChange={(event) => change(h.id, { on: event.target.checked })}
                  />
                  <code className={`hl c${h.colour}`}>{h.pattern}</code>
                </label>
                <span className="small m2">{h.pipeline ? `${h.pipeline} only` : "all logs"}</span>
                <Button
                  small
                  look="ghost"
                  aria-label={`Another colour for ${h.pattern}`}
                  onClick={() => change(h.id, { colour: (h.colour % COLOURS) + 1 })}
                >
                  <span className={`swatch c${h.colour}`} aria-hidden="true" /> Colour
                </Button>
                <Button
                  small
                  look="ghost"
                  icon="x"
                  aria-label={`Forget ${h.pattern}`}
                  onClick={() => onChange(all.filter((each) => each.id !== h.id))}
                />
              </li>
            ))}
          </ul>
        ) : (
          <p className="small m2">What you always want to see at once, such as frame numbers or warnings.</p>
        )}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!pattern || wrong) return;
            onChange(withOne(all, pattern, only ? pipeline : "", crypto.randomUUID()));
            setPattern("");
          }}
        >
          <label className="small">
            Regular expression
            <input
              className="in mono"
              value={pattern}
              spellCheck={false}
              aria-invalid={wrong}
              placeholder="frame \\d+"
              onChange={(event) => setPattern(event.target.value)}
            />
          </label>
          <span className="row wrap">
            <label className="row small grow">
              <input type="checkbox" checked={only} onChange={(event) => setOnly(event.target.checked)} />
              only in logs of {pipeline}
            </label>
            <Button small type="submit" icon="plus" disabled={!pattern || wrong}>
              Highlight it
            </Button>
          </span>
        </form>
        <p className="small m2">Kept in this browser, for you.</p>
      </Popover.Dropdown>
    </Popover>
  );
}
