/** Which folders of the tree are open, for each space; kept while the page is, so that going elsewhere and back loses nothing. */
import { create } from "zustand";

const ROOT: ReadonlySet<string> = new Set([""]);

interface Opened {
  spaces: Readonly<Record<string, ReadonlySet<string>>>;
  put: (space: string, paths: readonly string[], open: boolean) => void;
}

const useStore = create<Opened>()((set) => ({
  spaces: {},
  put: (space, paths, open) =>
    set(({ spaces }) => {
      const before = spaces[space] ?? ROOT;
      if (paths.every((path) => before.has(path) === open)) return {};
      const next = new Set(before);
      for (const path of paths) {
        if (open) next.add(path);
        else next.delete(path);
      }
      return { spaces: { ...spaces, [space]: next } };
    }),
}));

export function useOpened(space: string): ReadonlySet<string> {
  return useStore((store) => store.spaces[space] ?? ROOT);
}

export const putOpened = (space: string, paths: readonly string[], open: boolean): void =>
  useStore.getState().put(space, paths, open);
