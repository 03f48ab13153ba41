import { useCallback, useEffect, useMemo, useSyncExternalStore } from "react";
import type { components } from "@/api/schema";
import { useTopic } from "@/shared/live.ts";
import { compare, type Sort } from "./order.ts";
import { matcher, parse } from "./query.ts";
import { type Row, rows } from "./rows.ts";

type Data = components["schemas"]["ProjectsData"];

/** Keeps the rows current while the page is shown: what is said on the topic, and everything anew after a gap. */
export function useLiveRows(): void {
  useEffect(() => {
    void rows.load();
  }, []);
  useTopic("projects", "", (message) => {
    if (message.type === "delta") {
      const data = message.data as Data;
      rows.apply(data.rows ?? [], data.removed ?? []);
    } else if (message.type === "gap" || message.type === "snapshot") {
      void rows.load();
    }
  });
}

export function useVersion(): number {
  return useSyncExternalStore(rows.watch, rows.snapshot);
}

export function useRow(id: string): Row | undefined {
  const watch = useCallback((tell: () => void) => rows.watchOne(id, tell), [id]);
  return useSyncExternalStore(watch, () => rows.get(id));
}

/** What the query lets through, in order. Worked out anew when rows came or went. */
export function useFound(query: string, sort: Sort): Row[] {
  const version = useVersion();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version stands for the rows
  return useMemo(() => {
    const fits = matcher(parse(query), Date.now());
    return rows.list().filter(fits).sort(compare(sort));
  }, [version, query, sort]);
}
