/** What a file is, by its name. Pure. */

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

/** A line of a CSV file as its cells; quotes as in RFC 4180. */
export function cellsOf(line: string, separator = ","): string[] {
  const cells: string[] = [];
  let cell = "";
  let quoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at];
    if (quoted && sign === '"' && line[at + 1] === '"') {
      cell += '"';
      at += 1;
    } else if (sign === '"') quoted = !quoted;
    else if (sign === separator && !quoted) {
      cells.push(cell);
      cell = "";
    } else cell += sign;
  }
  return [...cells, cell];
}
