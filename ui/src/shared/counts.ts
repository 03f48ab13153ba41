import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

/** How many projects there are by state, and what waits for the caller. */
export const countsQuery = queryOptions({
  queryKey: ["projects", "counts"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/projects/counts", { signal })),
  staleTime: 5_000,
  refetchInterval: 60_000,
});
