/** Which stages a mistake or a change belongs to, and where in the text to show what the server says of a stage. Pure. */
import { type Entry, type Outline, outline, placeAt } from "./places.ts";

/** Line and column, from 1. */
export interface Spot {
  line: number;
  column: number;
}

export function spotOf(text: string, at: number): Spot {
  const before = text.slice(0, at);
  return { line: before.split("\n").length, column: at - before.lastIndexOf("\n") };
}

/** Where a stage stands: its id, or one of its keys. */
export function stageSpot(
  text: string,
  stage: string,
  key = "id",
  read: Outline = outline(text),
): Spot | null {
  const id = read.scalars.find(
    (s) => s.path.length === 3 && s.path[0] === "stages" && s.path[2] === "id" && s.text === stage,
  );
  if (!id) return null;
  const found: Entry | undefined =
    key === "id"
      ? undefined
      : read.entries.find((e) => e.path.length === 3 && e.path[1] === id.path[1] && e.path[2] === key);
  return spotOf(text, found?.from ?? id.from);
}

/** The id of the stage whose part of the text this is; empty: of none. */
export function stageAt(text: string, { line, column }: Spot): string {
  if (line < 1) return "";
  const lines = text.split("\n");
  let at = Math.max(0, column - 1);
  for (let i = 0; i < Math.min(line - 1, lines.length); i += 1) at += (lines[i]?.length ?? 0) + 1;
  const { path } = placeAt(text, Math.min(text.length, at + 1));
  if (path[0] !== "stages" || path.length < 2) return "";
  const id = outline(text).scalars.find(
    (s) => s.path.length === 3 && s.path[1] === path[1] && s.path[0] === "stages" && s.path[2] === "id",
  );
  return id?.text ?? "";
}

/** Ids of the stages that are new, and of those that are not as they were. */
export function moved<T extends { id: string }>(before: readonly T[] | undefined, after: readonly T[]) {
  const fresh = new Set<string>();
  const changed = new Set<string>();
  const known = new Map((before ?? []).map((s) => [s.id, JSON.stringify(s)]));
  if (before)
    for (const stage of after) {
      const old = known.get(stage.id);
      if (old === undefined) fresh.add(stage.id);
      else if (old !== JSON.stringify(stage)) changed.add(stage.id);
    }
  return { fresh, changed };
}
