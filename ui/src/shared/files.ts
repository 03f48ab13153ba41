/** What a file is by its name, where it is, and a table out of its text. Pure. */

export type Kind = "image" | "video" | "table" | "page" | "text" | "other";

const KINDS: [Kind, RegExp][] = [
  ["image", /\.(jpe?g|png|webp|gif|svg|bmp|avif)$/i],
  ["video", /\.(mp4|webm|mov|mkv|m4v)$/i],
  ["table", /\.(csv|tsv)$/i],
  ["page", /\.html?$/i],
  ["text", /\.(txt|log|md|json|ya?ml|toml|ini|py|sh|xml|geojson|jsonl|cfg|conf|c|h|rs|ts|js|css|r|sql)$/i],
];

export function kindOf(name: string): Kind {
  return KINDS.find(([, pattern]) => pattern.test(name))?.[0] ?? (name.includes(".") ? "other" : "text");
}

export function addressOf(space: string, path: string, kind: "preview" | "content"): string {
  return `/api/v1/files/${encodeURIComponent(space)}/${kind}?path=${encodeURIComponent(path)}`;
}

/** The first rows of a CSV file, as RFC 4180 has it. `whole`: the text is all of the file; else its last line is taken for cut off. */
export function rowsOf(text: string, most: number, whole: boolean, separator = ","): string[][] {
  const rows: string[][] = [];
  let cells: string[] = [];
  let cell = "";
  let quoted = false;
  const endRow = () => {
    if (cells.length > 0 || cell) rows.push([...cells, cell]);
    cells = [];
    cell = "";
  };
  for (let at = 0; at < text.length && rows.length < most; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (sign === '"' && !cell) quoted = true;
    else if (sign === separator) {
      cells.push(cell);
      cell = "";
    } else if (sign === "\n" || (sign === "\r" && text[at + 1] === "\n")) {
      endRow();
      if (sign === "\r") at += 1;
    } else cell += sign;
  }
  if (rows.length < most && whole) endRow();
  return rows;
}

/** A folder that is shown before it has been made has no time: the server says the start of 1970. */
export const hasTime = (entry: { modified: string }): boolean => Date.parse(entry.modified) !== 0;
