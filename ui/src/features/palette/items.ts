/** All that the palette can lead to, in groups, for what was typed. Pure but for `visit`, which is given. */
import type { IconName } from "@/design/Icon.tsx";
import type { State } from "@/design/state.tsx";
import type { Been } from "@/shared/recent.ts";
import { best } from "./match.ts";

export interface Item {
  id: string;
  title: string;
  /** said in grey after the title */
  about?: string;
  /** further words by which it is found */
  words?: string;
  icon?: IconName;
  state?: State;
  /** the key that does the same */
  hint?: string;
  /** the address it leads to; without one it is an action */
  to?: string;
  kind: Been["kind"] | "act";
  act?: () => void;
}

export interface Group {
  title: string;
  items: Item[];
}

export interface Sources {
  acts: Item[];
  recent: Item[];
  /** as the server answered, newest first; it has already looked for what was typed */
  projects: Item[];
  pipelines: Item[];
  nodes: Item[];
  pages: Item[];
}

const FEW = 5;

export const PAGES: (Item & { admin?: boolean })[] = (
  [
    ["/projects", "Projects", "projects", "home list", "g p"],
    ["/inbox", "Waiting for me", "bell", "inbox gates questions failures", "g w"],
    ["/projects/new", "New project", "plus", "create make start", ""],
    ["/pipelines", "Pipelines", "pipelines", "library versions examples", "g l"],
    ["/pipelines/edit", "Write a pipeline", "edit", "new editor yaml", ""],
    ["/inputs", "Inputs", "resources", "input pool files upload videos", "g i"],
    ["/nodes", "Nodes", "nodes", "machines gpus drain", "g n"],
    ["/statistics", "Statistics", "stats", "heat map idle durations failures", "g s"],
    ["/settings", "Settings: profile", "settings", "password name e-mail keyboard", "g t"],
    ["/settings/notifications", "Settings: notifications", "bell", "mail webhook chat browser channels", ""],
    ["/settings/tokens", "Settings: tokens", "key", "api programs scripts", ""],
    ["/settings/installation", "Settings: installation", "settings", "doctor smtp mail health", ""],
    ["/settings/people", "Settings: people", "user", "users accounts roles", "", true],
    ["/settings/groups", "Settings: groups", "group", "teams", "", true],
    ["/settings/audit", "Settings: audit", "eye", "who did what log", "", true],
  ] as [string, string, IconName, string, string, boolean?][]
).map(([to, title, icon, words, hint, admin]) => ({
  id: `page:${to}`,
  to,
  title,
  icon,
  words,
  hint,
  kind: "page",
  ...(admin ? { admin } : {}),
}));

/** Nothing typed: where one has been, then what can be done here. Else what fits, the kinds in a fixed order but the one
 *  that fits best on top. */
export function groups(sources: Sources, typed: string): Group[] {
  const text = typed.trim();
  if (!text) {
    const been = new Set(sources.recent.map((item) => item.to));
    return full([
      { title: "Recent", items: sources.recent.slice(0, FEW) },
      { title: "Here", items: sources.acts },
      { title: "Projects", items: sources.projects.filter((item) => !been.has(item.to)).slice(0, FEW) },
      { title: "Pages", items: sources.pages },
    ]);
  }
  const acts = best(sources.acts, text);
  const found = full([
    { title: "Here", items: acts },
    { title: "Projects", items: sources.projects },
    { title: "Pages", items: best(sources.pages, text).slice(0, FEW) },
    { title: "Pipelines", items: best(sources.pipelines, text).slice(0, FEW) },
    { title: "Nodes", items: best(sources.nodes, text).slice(0, FEW) },
  ]);
  const tops = found.flatMap((group) => group.items.slice(0, 1));
  const first = best(tops, text)[0];
  return found.toSorted((a, b) => Number(b.items[0] === first) - Number(a.items[0] === first));
}

function full(all: Group[]): Group[] {
  return all.filter((group) => group.items.length);
}
