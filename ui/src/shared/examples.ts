/** Pipelines to begin with, and what some of them bring along: code, and a clip to run on. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { queries } from "./queries.ts";

export type Example = components["schemas"]["Example"];

export const examplesQuery = queryOptions({
  queryKey: ["pipelines", "examples"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/pipelines/examples", { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});

export const shelvesQuery = queryOptions({
  queryKey: ["pipelines"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/pipelines", { signal })),
});

/** Into the library, with its code. */
export async function takeExample(name: string): Promise<void> {
  await taken(api.POST("/api/v1/pipelines/examples/{name}", { params: { path: { name } } }));
  await queries.invalidateQueries({ queryKey: ["pipelines"], exact: true });
}

/** Into the input pool; answers where it is. */
export async function bringClip(name: string): Promise<string> {
  const clip = await taken(
    api.POST("/api/v1/pipelines/examples/{name}/clip", { params: { path: { name } } }),
  );
  await queries.invalidateQueries({ queryKey: ["files", "inputs"] });
  return clip.path;
}
