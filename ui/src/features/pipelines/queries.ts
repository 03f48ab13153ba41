/** One pipeline of the library, as several pages ask for it. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";

export const shelfQuery = (name: string) =>
  queryOptions({
    queryKey: ["pipelines", name],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}", { params: { path: { name } }, signal })),
  });

export const versionsQuery = (name: string) =>
  queryOptions({
    queryKey: ["pipelines", name, "versions"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/pipelines/{name}/versions", { params: { path: { name } }, signal })),
  });

/** A version never changes. */
export const versionQuery = (name: string, number: number) =>
  queryOptions({
    queryKey: ["pipelines", name, "versions", number],
    queryFn: ({ signal }) =>
      taken(
        api.GET("/api/v1/pipelines/{name}/versions/{number}", { params: { path: { name, number } }, signal }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
