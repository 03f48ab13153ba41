/** One chart of the page: drawn, or as a table, and as a file for spreadsheets. */
import { type ReactNode, useState } from "react";
import { Panel } from "@/design/parts.tsx";

export function Chart({
  title,
  about,
  keys,
  csv,
  className,
  children,
}: {
  title: string;
  about?: string;
  /** What the colours mean. */
  keys?: ReactNode;
  csv: string;
  className?: string;
  /** Draws it; `table`: in numbers. */
  children: (table: boolean) => ReactNode;
}) {
  const [table, setTable] = useState(false);
  return (
    <Panel
      title={title}
      about={about}
      className={className}
      actions={
        <>
          {table ? null : keys}
          <span className="row how">
            <span className="seg" role="group" aria-label={`${title}: how it is shown`}>
              <button type="button" aria-pressed={!table} onClick={() => setTable(false)}>
                Chart
              </button>
              <button type="button" aria-pressed={table} onClick={() => setTable(true)}>
                Table
              </button>
            </span>
            <a className="btn ghost sm" href={csv} download aria-label={`${title} as CSV`}>
              CSV
            </a>
          </span>
        </>
      }
    >
      {children(table)}
    </Panel>
  );
}
