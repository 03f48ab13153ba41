/** The layer that a value comes from, in the words of the pages. Pure. */
const WORDS: Record<string, string> = {
  blueprint: "as before", // of a redo: what the stage that is redone had
  parameter: "pipeline",
  run: "this run",
  winslow: "Winslow",
};

export function originWord(origin: string | null | undefined): string {
  return WORDS[origin ?? ""] ?? (origin || "not set");
}
