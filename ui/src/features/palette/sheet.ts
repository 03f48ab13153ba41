/** The registry as a sheet to read: what does the same stands in one line, the page that is shown first. Pure. */
import type { Listed } from "@/shared/keys.ts";

export interface Part {
  where: string;
  rows: { does: string; keys: string[] }[];
}

export function sheet(all: readonly Listed[]): Part[] {
  const parts: Part[] = [];
  for (const { where, does, key } of all) {
    if (!key) continue;
    const known = parts.find((each) => each.where === where);
    const part = known ?? { where, rows: [] };
    if (!known) parts.push(part);
    const row = part.rows.find((each) => each.does === does);
    if (row) row.keys.push(key);
    else part.rows.push({ does, keys: [key] });
  }
  return parts;
}
