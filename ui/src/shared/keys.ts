/** Single keys, outside of fields only; they can be turned off. Two keys one after the other ("g p") count within a second. */
import { useEffect, useRef } from "react";
import { create } from "zustand";
import { persist } from "zustand/middleware";

export const useKeysWanted = create<{ on: boolean; set: (on: boolean) => void }>()(
  persist((set) => ({ on: true, set: (on) => set({ on }) }), { name: "winslow.keys" }),
);

const TOGETHER = 1000;

export function inField(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  return !!element?.closest?.(
    "input, textarea, select, [contenteditable=true], .cm-editor, [role=dialog] [role=combobox]",
  );
}

/** `keys`: "n", "/", "g p", "Escape" -> what it does. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    let first = "";
    let at = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (!useKeysWanted.getState().on || inField(event.target) || document.querySelector("[role=dialog]"))
        return;
      const now = performance.now();
      const both = first && now - at < TOGETHER ? `${first} ${event.key}` : "";
      const act = (both && latest.current[both]) || latest.current[event.key];
      first = event.key;
      at = now;
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}
