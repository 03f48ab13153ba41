/** The head of a CSV file as a table. */
import { rowsOf } from "./files.ts";

export function CsvTable({
  text,
  whole,
  rows,
  separator = ",",
}: {
  text: string;
  whole: boolean;
  rows: number;
  separator?: string;
}) {
  const [head = [], ...rest] = rowsOf(text.replace(/^\uFEFF/, ""), rows + 1, whole, separator);
  return (
    <table className="tbl small">
      <thead>
        <tr>
          {head.map((cell, column) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
            <th key={column}>{cell}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rest.map((cells, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a file have no other identity
          <tr key={at}>
            {cells.map((cell, column) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: nor have its cells
              <td key={column}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
