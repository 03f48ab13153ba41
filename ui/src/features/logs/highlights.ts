/** What a person wants to see at once in logs: expressions with a colour, kept in this browser for this person, for all logs
 *  or for those of one pipeline. */
import { create } from "zustand";

export const COLOURS = 5;

export interface Highlight {
  id: string;
  pattern: string;
  /** 1 to 5, as the series of charts */
  colour: number;
  on: boolean;
  /** whose logs; empty: all */
  pipeline: string;
}

/** Those for a log of this pipeline, its own first. */
export function offered(all: readonly Highlight[], pipeline: string): Highlight[] {
  const own = all.filter((h) => h.pipeline === pipeline && pipeline);
  return [...own, ...all.filter((h) => !h.pipeline)];
}

/** One more, with the colour that is used least. The same expression twice is one. */
export function withOne(
  all: readonly Highlight[],
  pattern: string,
  pipeline: string,
  id: string,
): Highlight[] {
  const there = all.find((h) => h.pattern === pattern && h.pipeline === pipeline);
  if (there) return all.map((h) => (h === there ? { ...h, on: true } : h));
  const used = Array.from({ length: COLOURS }, (_, i) => all.filter((h) => h.colour === i + 1).length);
  const colour = used.indexOf(Math.min(...used)) + 1;
  return [...all, { id, pattern, colour, on: true, pipeline }];
}

function read(key: string): Highlight[] {
  try {
    const found = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found.filter((h) => typeof h?.pattern === "string") : [];
  } catch {
    return [];
  }
}

const store = create<{ key: string; all: Highlight[] }>(() => ({ key: "", all: [] }));

export function useHighlights(user: string): [Highlight[], (all: Highlight[]) => void] {
  const key = `winslow.highlights.${user}`;
  if (store.getState().key !== key) store.setState({ key, all: read(key) });
  const all = store((s) => s.all);
  return [
    all,
    (next) => {
      store.setState({ all: next });
      try {
        localStorage.setItem(key, JSON.stringify(next));
      } catch {
        // no room, or not allowed here: then they live as long as the page
      }
    },
  ];
}
