/** What can be done on the page that is shown: by a key, from the palette, and listed under `?`. One registry for all three.
 *  Single keys count outside of fields only and can be turned off; two keys one after the other ("g p") count within a second;
 *  keys with Ctrl (or Cmd) count everywhere but under a dialog. */
import { useEffect, useRef } from "react";
import { create } from "zustand";
import { persist } from "zustand/middleware";

export const useKeysWanted = create<{ on: boolean; set: (on: boolean) => void }>()(
  persist((set) => ({ on: true, set: (on) => set({ on }) }), { name: "winslow.keys" }),
);

export interface Act {
  /** as a menu would say it: "New project" */
  does: string;
  act: (event?: KeyboardEvent) => void;
  /** false: a movement or an answer in place, which is no use from afar */
  palette?: false;
}
interface Layer {
  where: string;
  depth: number;
  /** by key; what has none stands under a name that begins with a space */
  acts: Record<string, Act>;
}
export interface Listed extends Act {
  where: string;
  /** "g p"; empty: only from the palette */
  key: string;
}

const TOGETHER = 1000;
const layers: { current: Layer }[] = [];
let first = "";
let at = 0;

export function inField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.(
    "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable=true], .cm-editor",
  );
}

/** Enter and Space belong to what has the focus, where that does something with them. */
function ownKey(event: KeyboardEvent): boolean {
  return (
    (event.key === "Enter" || event.key === " ") &&
    !!(event.target as HTMLElement | null)?.closest?.(
      "a, button, summary, input, [role=button], [role=menuitem]",
    )
  );
}

function find(key: string): Act | undefined {
  for (let i = layers.length - 1; i >= 0; i--) {
    const found = layers[i]?.current.acts[key];
    if (found) return found;
  }
  return undefined;
}

export function onKey(event: KeyboardEvent): void {
  if (event.altKey || event.defaultPrevented || document.querySelector("[role=dialog]")) return;
  const control = event.ctrlKey || event.metaKey;
  if (!control && (!useKeysWanted.getState().on || inField(event.target) || ownKey(event))) return;
  const name = control ? `Ctrl ${event.key.length === 1 ? event.key.toLowerCase() : event.key}` : event.key;
  const both = first && event.timeStamp - at < TOGETHER ? find(`${first} ${name}`) : undefined;
  const act = both ?? find(name);
  first = both ? "" : name;
  at = event.timeStamp;
  if (!act) return;
  event.preventDefault();
  act.act(event);
}

/** `where`: the heading under which they are listed. `depth`: 0 the frame of all pages, 1 of some, 2 a page or part of one;
 *  the deeper goes first, then what was mounted later. */
export function useKeys(where: string, acts: Record<string, Act>, depth: 0 | 1 | 2 = 2): void {
  const layer = useRef<Layer>({ where, acts, depth });
  layer.current = { where, acts, depth };
  useEffect(() => {
    if (!layers.length) document.addEventListener("keydown", onKey);
    const before = layers.findIndex((each) => each.current.depth > layer.current.depth);
    layers.splice(before < 0 ? layers.length : before, 0, layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
      if (!layers.length) document.removeEventListener("keydown", onKey);
    };
  }, []);
}

/** The same without keys: for the palette alone. */
export function useActs(where: string, acts: Act[]): void {
  useKeys(where, Object.fromEntries(acts.map((act) => [` ${act.does}`, act])));
}

/** All that can be done now, the nearest first; a key stands for one thing only. */
export function listed(): Listed[] {
  const seen = new Set<string>();
  return layers.toReversed().flatMap(({ current: { where, acts } }) =>
    Object.entries(acts).flatMap(([key, act]) => {
      if (seen.has(key)) return [];
      seen.add(key);
      return [{ ...act, where, key: key.startsWith(" ") ? "" : key }];
    }),
  );
}
