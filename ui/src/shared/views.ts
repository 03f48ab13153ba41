/** Views of the list of projects: those that everybody has, and those that a person has saved in this browser. */
import { create } from "zustand";
import { persist } from "zustand/middleware";

export interface View {
  name: string;
  q: string;
  group: string;
  sort: string;
}

interface Views {
  own: View[];
  save: (view: View) => void;
  remove: (name: string) => void;
}

export const useViews = create<Views>()(
  persist(
    (set) => ({
      own: [],
      save: (view) => set((s) => ({ own: [...s.own.filter((v) => v.name !== view.name), view] })),
      remove: (name) => set((s) => ({ own: s.own.filter((v) => v.name !== name) })),
    }),
    { name: "winslow.views" },
  ),
);

export function given(me: string): View[] {
  return [
    { name: "Mine", q: `author:${me}`, group: "", sort: "updated" },
    { name: "Waiting", q: "state:waiting state:paused", group: "", sort: "updated" },
    { name: "Failed today", q: "state:failed updated:<24h", group: "", sort: "updated" },
    { name: "Running", q: "state:running", group: "", sort: "updated" },
  ];
}

/** Those that the rail leads to: what waits has a place of its own there, and what runs is one click away in the list. */
export function inRail(me: string, own: View[]): View[] {
  const taken = new Set(own.map((view) => view.name));
  return [
    ...given(me).filter(({ name }) => ["Mine", "Failed today"].includes(name) && !taken.has(name)),
    ...own,
  ];
}

/** How the address says it: what is as always is left out. */
export function searchOf({ q, group, sort }: Partial<Omit<View, "name">>): Partial<Omit<View, "name">> {
  return {
    ...(q ? { q } : {}),
    ...(group ? { group } : {}),
    ...(sort && sort !== "updated" ? { sort } : {}),
  };
}
