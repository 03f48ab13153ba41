/** Two texts beside one another; on a narrow screen the one below the other. What differs has a sign, not only a colour. */
import { useMemo, useState } from "react";
import { plural } from "@/design/format.ts";
import { Button } from "@/design/parts.tsx";
import { compared, folded, type Row, summed, within } from "./lines.ts";
import "./diff.css";

export function Diff({
  before,
  after,
  left,
  right,
}: {
  before: string;
  after: string;
  /** what each side is called */
  left: string;
  right: string;
}) {
  const [all, setAll] = useState(false);
  const rows = useMemo(() => compared(before, after), [before, after]);
  const shown = useMemo(() => (all ? rows : folded(rows)), [rows, all]);
  const sum = summed(rows);
  return (
    <section className="diff" aria-label={`${left} and ${right}`}>
      <header className="row small">
        <span>
          <b>{left}</b> and <b>{right}</b>: {sum || "nothing differs"}
        </span>
        <span className="grow" />
        {sum ? (
          <Button small look="ghost" aria-pressed={all} onClick={() => setAll(!all)}>
            All lines
          </Button>
        ) : null}
      </header>
      {sum || all ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled by keys
        <div className="diff-lines" tabIndex={0} role="group" aria-label="Lines">
          {shown.map((row, at) =>
            typeof row === "number" ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: they never move
              <p key={at} className="diff-gap small m2">
                {plural(row, "line")} alike
              </p>
            ) : (
              <Line key={`${row.left}-${row.right}`} row={row} />
            ),
          )}
        </div>
      ) : null}
    </section>
  );
}

function Line({ row }: { row: Row }) {
  const [from, endBefore, endAfter] = row.kind === "changed" ? within(row.before, row.after) : [0, 0, 0];
  return (
    <div className="diff-row" data-kind={row.kind}>
      <Half number={row.left} text={row.before} sign="−" word="gone" row={row} from={from} to={endBefore} />
      <Half number={row.right} text={row.after} sign="+" word="added" row={row} from={from} to={endAfter} />
    </div>
  );
}

function Half({
  number,
  text,
  sign,
  word,
  row,
  from,
  to,
}: {
  number: number | null;
  text: string;
  sign: string;
  word: "gone" | "added";
  row: Row;
  from: number;
  to: number;
}) {
  if (number === null) return <div className="diff-half nothing" />;
  const differs = row.kind !== "same";
  return (
    <div className={differs ? `diff-half ${word}` : "diff-half"}>
      <span className="diff-n">{number}</span>
      <span className="diff-s">{differs ? <span>{sign}</span> : null}</span>
      <code>
        {row.kind === "changed" && from < to ? (
          <>
            {text.slice(0, from)}
            <mark>{text.slice(from, to)}</mark>
            {text.slice(to)}
          </>
        ) : (
          text
        )}
      </code>
    </div>
  );
}
