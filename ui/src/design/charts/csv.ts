/** What a chart shows, as a file for spreadsheets (RFC 4180). Pure but for `download`. */

export interface Column {
  name: string;
  values: readonly (number | string | null | undefined)[];
}

export function csvOf(columns: readonly Column[]): string {
  const rows = Math.max(0, ...columns.map((c) => c.values.length));
  const lines = [columns.map((c) => cell(c.name)).join(",")];
  for (let row = 0; row < rows; row += 1) lines.push(columns.map((c) => cell(c.values[row])).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

/** A text that a spreadsheet would take for a formula is led by an apostrophe. */
function cell(value: number | string | null | undefined): string {
  if (value == null) return "";
  if (typeof value === "number") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function download(name: string, columns: readonly Column[]): void {
  const url = URL.createObjectURL(new Blob([csvOf(columns)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-|-$/g, "") || "chart"}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
