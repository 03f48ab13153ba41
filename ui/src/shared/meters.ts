/** What running stages used while somebody looked: CPU and memory as the live connection told them, newest last. It begins
 *  with the page and is gone with the tab; what is kept for ever is in the record of the attempt. */
import { useSyncExternalStore } from "react";

export interface Reading {
  /** milliseconds since 1970, when it came */
  at: number;
  /** in all, since the attempt began */
  cpuSeconds: number;
  memory: number;
}

const KEPT = 240;
const AGAIN = 1_000; // milliseconds: what comes closer together says nothing about a rate
const readings = new Map<string, readonly Reading[]>();
const listeners = new Set<() => void>();
const NONE: readonly Reading[] = [];

export function noteReading(attempt: string, reading: Reading): void {
  const known = readings.get(attempt) ?? NONE;
  const last = known.at(-1);
  if (last && (reading.at - last.at < AGAIN || reading.cpuSeconds < last.cpuSeconds)) return;
  readings.set(attempt, [...known, reading].slice(-KEPT));
  for (const each of listeners) each();
}

/** `attempt`: project/stage/attempt, as everywhere. */
export function useReadings(attempt: string): readonly Reading[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => readings.get(attempt) ?? NONE,
  );
}

/** Cores in use between one reading and the next; one less than there are readings. */
export function cores(all: readonly Reading[]): number[] {
  return all.slice(1).map((reading, at) => {
    const before = all[at] as Reading;
    return ((reading.cpuSeconds - before.cpuSeconds) * 1000) / (reading.at - before.at);
  });
}
