/** The versions of a pipeline of the library, as several pages ask for them. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

export const versionsQuery = (name: string) =>
  queryOptions({
    queryKey: ["pipelines", "named", name, "versions"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}/versions", { params: { path: { name } }, signal })),
  });

/** A version never changes. */
export const versionQuery = (name: string, number: number) =>
  queryOptions({
    queryKey: ["pipelines", "named", name, "versions", number],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/pipelines/{name}/versions/{number}", { params: { path: { name, number } }, signal }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
