/** Who there is, asked for once for all pages that need it. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";

export const usersQuery = queryOptions({
  queryKey: ["people", "users"],
  queryFn: async ({ signal }) => {
    type Person = components["schemas"]["UserView"];
    const items: Person[] = [];
    for (let after = ""; ; ) {
      const page = await taken(
        api.GET("/api/v1/users", { params: { query: { limit: 500, after } }, signal }),
      );
      items.push(...page.items);
      after = page.next ?? "";
      if (!after) return { items };
    }
  },
});

export const groupsQuery = queryOptions({
  queryKey: ["people", "groups"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/groups", { params: { query: { limit: 500 } }, signal })),
});
