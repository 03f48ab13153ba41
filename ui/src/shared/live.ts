/** The tab's one connection, and its state for whoever shows it. */
import { useEffect, useRef, useSyncExternalStore } from "react";
import { browserSocket, type Connection, type Listener, Live, pauseWhenHidden } from "@/api/live.ts";
import { queries } from "./queries.ts";

export const live = new Live(browserSocket, () => {
  void queries.invalidateQueries({ queryKey: ["session"] });
});

let running = false;

export function beLive(): void {
  if (running) return;
  running = true;
  live.start();
  pauseWhenHidden(live);
}

export function useConnection(): Connection {
  return useSyncExternalStore(live.watch, () => live.connection);
}

/** Listen while the component is shown. `cursor`: where the state that it has ends; null: not yet. */
export function useTopic(topic: string | null, cursor: string | null | undefined, listener: Listener): void {
  const latest = useRef(listener);
  latest.current = listener;
  const ready = topic !== null && cursor != null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the cursor is where listening begins; later ones are kept by the connection
  useEffect(() => {
    if (!ready || topic === null || cursor == null) return;
    return live.subscribe(topic, cursor, (message) => latest.current(message));
  }, [topic, ready]);
}
