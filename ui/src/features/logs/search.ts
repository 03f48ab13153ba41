/** The server's search, gone on with page by page until it has seen the whole log or found enough for now. */
import { useCallback, useEffect, useRef, useState } from "react";
import { api, taken } from "@/api/client.ts";
import { exact } from "./marks.ts";
import type { Line } from "./store.ts";

/** What programs write where something went wrong. */
const ERRORS = "error|exception|traceback|fatal";

const PAGE = 200;
const ENOUGH = 1000;

export interface Found {
  hits: Line[];
  busy: boolean;
  /** there is more of the log to search */
  more: boolean;
  error: unknown;
  goOn: () => void;
}

interface Asked {
  path: { project: string; stage: number };
  attempt: number;
  stream: "out" | "err" | undefined;
  pattern: string;
  regex: boolean;
  total: number;
  ended: boolean;
}

/** The first line from `start` on that tells of an error; null: there is none. */
export async function firstError(
  { path, attempt, stream }: Pick<Asked, "path" | "attempt" | "stream">,
  start: number,
): Promise<Line | null> {
  const query = {
    attempt,
    pattern: ERRORS,
    regex: true,
    case: false,
    limit: 1,
    ...(stream ? { stream } : {}),
  };
  for (let from: number | null = start; from !== null; ) {
    const page: { hits?: Line[]; next?: number | null } = await taken(
      api.GET("/api/v1/projects/{project}/stages/{stage}/log/search", {
        params: { path, query: { ...query, start: from } },
      }),
    );
    const [hit] = page.hits ?? [];
    if (hit) return hit;
    from = page.next ?? null;
  }
  return null;
}

export function useFind({ path, attempt, stream, pattern, regex, total, ended }: Asked): Found {
  const [hits, setHits] = useState<Line[]>([]);
  const [next, setNext] = useState<number | null>(0);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const running = useRef<AbortController | null>(null);
  const searched = useRef(0);

  const search = useCallback(
    async (from: number, known: Line[]) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      setBusy(true);
      let start: number | null = from;
      let found = known;
      try {
        while (start !== null && found.length < known.length + ENOUGH) {
          const page: { hits?: Line[]; next?: number | null; total: number } = await taken(
            api.GET("/api/v1/projects/{project}/stages/{stage}/log/search", {
              params: {
                path,
                query: {
                  attempt,
                  pattern,
                  regex,
                  case: exact(pattern, regex),
                  start,
                  limit: PAGE,
                  ...(stream ? { stream } : {}),
                },
              },
              signal: controller.signal,
            }),
          );
          found = [...found, ...(page.hits ?? [])];
          start = page.next ?? null;
          searched.current = start ?? page.total;
          setHits(found);
          setNext(start);
        }
        setError(null);
      } catch (problem) {
        if (!controller.signal.aborted) setError(problem);
      } finally {
        if (running.current === controller) setBusy(false);
      }
    },
    [path, attempt, stream, pattern, regex],
  );

  useEffect(() => {
    setHits([]);
    setNext(null);
    setError(null);
    searched.current = 0;
    if (pattern) void search(0, []);
    return () => running.current?.abort();
  }, [pattern, search]);

  // what was written since is searched as well, while nothing else is
  // biome-ignore lint/correctness/useExhaustiveDependencies: only the log's growth starts it
  useEffect(() => {
    if (!pattern || busy || next !== null || total <= searched.current) return;
    const timer = setTimeout(() => void search(searched.current, hits), ended ? 0 : 1000);
    return () => clearTimeout(timer);
  }, [total, ended, busy]);

  const goOn = useCallback(() => {
    if (next !== null) void search(next, hits);
  }, [next, hits, search]);
  return { hits, busy, more: next !== null && !busy, error, goOn };
}
