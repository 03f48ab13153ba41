/** All machines, what they have and what works on them; whoever asks oftener makes it newer for the others. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

export const nodesQuery = queryOptions({
  queryKey: ["nodes"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/nodes", { signal })),
});
