/** What waits for a person, as a list shows it: each question, and the failures of a project together. Pure. */
import type { components } from "@/api/schema";
import { plural } from "@/design/format.ts";

type Item = components["schemas"]["InboxItem"];

export interface Ask
  extends Pick<Item, "project" | "name" | "pipeline" | "tags" | "kind" | "gate" | "text" | "since" | "show"> {
  key: string;
  failed: boolean;
  /** failures of the same project that are not named */
  more: number;
}

/** Of a project with more failures a list gets the newest ones. */
const TOLD = 5;

/** "2 more failures"; empty: there are none. */
export function others(ask: Ask): string {
  if (!ask.more) return "";
  return `${ask.more + 1 < TOLD ? "" : "at least "}${plural(ask.more, "more failure")}`;
}

/** Oldest first. */
export function asksOf(items: readonly Item[]): Ask[] {
  const found = new Map<string, Ask>();
  for (const item of [...items].sort((a, b) => (a.since < b.since ? -1 : 1))) {
    const failed = item.kind === "failure" || item.kind === "impossible";
    const key = failed ? item.project : `${item.project}/${item.gate}`;
    const known = found.get(key);
    if (known) known.more += 1;
    else found.set(key, { ...item, key, failed, more: 0 });
  }
  return [...found.values()];
}
