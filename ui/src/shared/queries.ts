/** The one cache of what the server said. A failure that passes is tried again by itself; any other is shown. */
import { QueryClient } from "@tanstack/react-query";
import { asProblem } from "@/api/problem.ts";

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      gcTime: 10 * 60_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => asProblem(error).passing && failures < 4,
      retryDelay: (failures) => Math.min(8_000, 500 * 2 ** failures),
      throwOnError: false,
    },
    mutations: { retry: false },
  },
});
