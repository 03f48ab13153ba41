/** One pipeline of the library, as several pages ask for it. "named" keeps it apart from what is asked of all of them: a
 *  pipeline may be called "trashed". */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

export const shelfQuery = (name: string) =>
  queryOptions({
    queryKey: ["pipelines", "named", name],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}", { params: { path: { name } }, signal })),
  });
