/** How a project's row reads: the state's word and sentence, the strip, the times. Pure. */
import { count, duration } from "@/design/format.ts";
import type { State, StripStage } from "@/design/state.tsx";
import { projectState } from "@/shared/look.ts";
import type { Row } from "./rows.ts";

const STRIP: Record<string, State> = { later: "none", waiting: "waiting" };
const CURRENT = new Set(["running", "submitted", "preparing", "queued", "waiting", "failed"]);

export function stateWord(row: Row, me: string): string {
  const mine = row.role !== "viewer";
  switch (row.state) {
    case "waiting":
      return mine ? "waits for you" : "waits for a person";
    case "paused":
      if (row.pause?.kind === "impossible") return "cannot start";
      if (row.pause?.kind === "failure") return "paused by a failure";
      return row.pause?.actor === me ? "paused by you" : "paused";
    default:
      return row.state;
  }
}

/** What the column Now says: the state, its word, and why, each said once. */
export function nowOf(row: Row, me: string): { state: State; word: string; reason: string } {
  const waits = row.state === "running" && row.current?.state === "submitted";
  if (waits) {
    const reason = (row.reason || row.current?.reason || "").replace(/^waits /, "");
    return { state: "submitted", word: "waits", reason: reason || "for a machine" };
  }
  const word = stateWord(row, me);
  const reason = word === "cannot start" ? row.reason.replace(/^\S+ cannot start: /, "") : row.reason;
  return { state: projectState(row), word: reason ? `${word}:` : word, reason };
}

/** The strip, with the one stage open that the row is about. */
export function stripOf(row: Row): StripStage[] {
  const cells = row.strip ?? [];
  let now = cells.findIndex((c) => row.current && c.id === row.current.id && CURRENT.has(c.state));
  if (now < 0) now = cells.findIndex((c) => c.state === "waiting");
  if (now < 0 && row.state !== "succeeded") now = cells.findLastIndex((c) => c.state === "failed");
  return cells.map((cell, at) => ({
    name: cell.total > 1 && at === now ? `${cell.id} ${count(cell.done)}/${count(cell.total)}` : cell.id,
    state: STRIP[cell.state] ?? (cell.state as State),
    now: at === now,
    percent:
      at === now && cell.state !== "waiting"
        ? cell.total > 1
          ? (100 * cell.done) / cell.total
          : row.percent
        : null,
  }));
}

/** How long it has worked in all: what ended, and what runs by now. `now` in milliseconds. */
export function worked(row: Row, now: number): string {
  const running =
    row.current?.state === "running" && row.current.since ? now - Date.parse(row.current.since) : 0;
  const total = row.seconds * 1000 + Math.max(0, running);
  return total > 0 ? duration(total) : "–";
}
