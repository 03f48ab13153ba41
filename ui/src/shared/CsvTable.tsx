/** The head of a CSV file as a table. */
import { rowsOf } from "./files.ts";

const NUMBER = /^\s*-?[\d.,]*(e[+-]?\d+)?\s*$/i;

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
  const numbers = head.map((_, column) => rest.every((cells) => NUMBER.test(cells[column] ?? "")));
  return (
    <table className="tbl small">
      <thead>
        <tr>
          {head.map((cell, column) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: two columns may have one name
            <th key={column} className={numbers[column] ? "num" : ""}>
              {cell}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rest.map((cells, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the rows of a file have no other identity
          <tr key={at}>
            {cells.map((cell, column) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: nor have its cells
              <td key={column} className={numbers[column] ? "num" : ""}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
