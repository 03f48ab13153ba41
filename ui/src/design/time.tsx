/** Times that grow older on screen, all from one ticking clock. */
import { useSyncExternalStore } from "react";
import { clock, duration, fullTime, when } from "./format.ts";

const listeners = new Set<() => void>();
let present = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    present = Date.now();
    for (const each of listeners) each();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (!listeners.size) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** Milliseconds since 1970, at most a second old. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => present);
}

/** "3 h ago", with the full time on hover. `at`: ISO text. */
export function Ago({ at }: { at: string }) {
  const moment = Date.parse(at);
  return (
    <time dateTime={at} title={fullTime(moment)}>
      {when(moment, useNow())}
    </time>
  );
}

/** "16:28", or "16:28:07" where one thing follows another closely. */
export function Clock({ at, seconds = false }: { at: string; seconds?: boolean }) {
  const moment = Date.parse(at);
  const text = clock(moment, useNow());
  return (
    <time dateTime={at} title={fullTime(moment)}>
      {seconds ? `${text}:${String(new Date(moment).getSeconds()).padStart(2, "0")}` : text}
    </time>
  );
}

/** How long something has taken, or takes until now. */
export function Took({ from, to }: { from: string; to?: string | null }) {
  const now = useNow();
  return (
    <span title={fullTime(Date.parse(from))}>{duration((to ? Date.parse(to) : now) - Date.parse(from))}</span>
  );
}
