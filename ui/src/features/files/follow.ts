/** The folder that is shown, kept current: whoever changes it, a person, a stage or somebody on the share itself. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import { useTopic } from "@/shared/live.ts";

/** Asks again for what the page shows of a folder whenever it has changed. */
export function useFollowed(space: string, path: string): void {
  const client = useQueryClient();
  const again = useMemo(
    () => oneAtATime(() => client.invalidateQueries({ queryKey: ["files", space, path] })),
    [client, space, path],
  );
  useTopic(`files:${space}/${path}`, "", (message) => {
    // a snapshot too: what changed between the first answer and this was told to nobody
    if (message.type !== "denied") again();
  });
}

/** Asking takes as long as it takes: what changes meanwhile is asked for once more behind it, and never cuts it off. */
export function oneAtATime(ask: () => Promise<unknown>): () => void {
  let asking = false;
  let wanted = false;
  const go = async () => {
    asking = true;
    while (wanted) {
      wanted = false;
      await ask().catch(() => undefined);
    }
    asking = false;
  };
  return () => {
    wanted = true;
    if (!asking) void go();
  };
}

interface Named {
  name: string;
}

/** What was shown stays where it is, as it is now; what is new comes below. */
export function inPlace<T extends Named>(before: readonly T[], now: readonly T[]): T[] {
  const left = new Map(now.map((each) => [each.name, each]));
  const kept = before.flatMap(({ name }) => {
    const found = left.get(name);
    left.delete(name);
    return found ? [found] : [];
  });
  return [...kept, ...left.values()];
}

/** While `held` rows keep their place. `list`: what is listed and how; empty: not known yet. */
export function useHeld<T extends Named>(now: readonly T[], list: string, held: boolean): readonly T[] {
  const last = useRef({ list: "", entries: now });
  const entries = useMemo(
    () => (held && list && last.current.list === list ? inPlace(last.current.entries, now) : now),
    [now, list, held],
  );
  useEffect(() => {
    last.current = { list, entries };
  }, [list, entries]);
  return entries;
}
