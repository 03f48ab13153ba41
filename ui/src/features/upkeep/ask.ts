/** What the pages of this part ask the server for. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import { ApiProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { queries } from "@/shared/queries.ts";

export type Left = components["schemas"]["LeftoversView"];
export type Operation = components["schemas"]["OperationView"];

export const leftoversQuery = (project: string) =>
  queryOptions({
    queryKey: ["project", project, "leftovers"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}/leftovers", { params: { path: { project } }, signal })),
  });

const EVERY = 300; // ms

/** Until it has ended well; what is left is asked for anew. `told`: how it stands meanwhile. Fails with its own words. */
export async function ended(
  project: string,
  begun: Operation,
  told: (now: Operation) => void,
): Promise<Operation> {
  let now = begun;
  while (now.state === "waiting" || now.state === "running") {
    told(now);
    await new Promise((go) => setTimeout(go, EVERY));
    now = await taken(
      api.GET("/api/v1/operations/{operation}", { params: { path: { operation: begun.id } } }),
    );
  }
  await queries.invalidateQueries({ queryKey: ["project", project, "disk"] });
  await queries.invalidateQueries({ queryKey: leftoversQuery(project).queryKey });
  if (now.state !== "done")
    throw new ApiProblem({ status: 409, code: now.code || "operation.failed", title: now.text });
  return now;
}

export async function takeBack(
  project: string,
  entry: string,
  told: (now: Operation) => void = () => undefined,
): Promise<Operation> {
  const begun = await taken(
    api.POST("/api/v1/projects/{project}/leftovers/{entry}/restore", {
      params: { path: { project, entry } },
    }),
  );
  return ended(project, begun, told);
}
