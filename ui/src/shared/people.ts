/** Who there is, asked for once for all pages that need it. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

export const usersQuery = queryOptions({
  queryKey: ["people", "users"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/users", { signal })),
});

export const groupsQuery = queryOptions({
  queryKey: ["people", "groups"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/groups", { params: { query: { limit: 500 } }, signal })),
});
