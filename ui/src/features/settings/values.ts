/** Values of settings as a person reads and types them. */

/** What is empty is left out; what has parts takes a line for each. */
export function written(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map(written).join(", ");
  if (typeof value !== "object") return String(value);
  return Object.entries(value)
    .map(([name, part]) => [name, written(part)] as const)
    .filter(([, part]) => part)
    .map(([name, part]) => `${name}: ${part}`)
    .join("\n");
}

/** What is no number goes to the server as it is, which says what is wrong with it. */
export function toSend(kind: string, typed: string): string | number {
  const number = Number(typed);
  return kind === "number" && typed.trim() && Number.isFinite(number) ? number : typed;
}
