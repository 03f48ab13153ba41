/** One project as the server tells it, kept current while somebody looks; and the way to ask something of it. */
import { notifications } from "@mantine/notifications";
import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, newKey, taken } from "@/api/client.ts";
import { asProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { useTopic } from "./live.ts";
import { noteReading } from "./meters.ts";
import { queries } from "./queries.ts";

export type Project = components["schemas"]["ProjectView"];
export type StageView = components["schemas"]["StageView"];
export type Step = components["schemas"]["StepView"];
export type Gate = components["schemas"]["Gate"];
export type Command = components["schemas"]["BulkBody"]["command"];
export type Described = Pick<
  components["schemas"]["DescribeBody"],
  "name" | "tags" | "priority" | "participants" | "limit" | "keep"
>;
type Data = components["schemas"]["ProjectData"];

export const projectQuery = (id: string) =>
  queryOptions({
    queryKey: ["project", id],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/projects/{project}", { params: { path: { project: id } }, signal })),
    staleTime: 30_000,
  });

/** The project, asked for anew whenever the live connection says that it has another version. */
export function useProject(id: string) {
  const client = useQueryClient();
  const query = useQuery(projectQuery(id));
  useTopic(`project:${id}`, "", (message) => {
    const key = projectQuery(id).queryKey;
    if (message.type === "gap" || message.type === "snapshot") {
      void client.invalidateQueries({ queryKey: key });
      return;
    }
    if (message.type !== "delta") return;
    const data = message.data as Data;
    const known = client.getQueryData(key);
    for (const told of data.progress ?? [])
      noteReading(`${id}/${numbered(told.stage)}/${told.attempt}`, {
        at: Date.now(),
        cpuSeconds: told.cpu_seconds ?? 0,
        memory: told.memory_bytes ?? 0,
      });
    if (data.row && (!known || data.row.version > known.version)) {
      void client.invalidateQueries({ queryKey: ["project", id] });
    } else if (data.progress?.length && known) {
      const told = new Map(data.progress.map((p) => [p.stage, p]));
      client.setQueryData(key, {
        ...known,
        stages: known.stages.map((stage) => {
          const progress = told.get(stage.number);
          return progress ? { ...stage, progress: { ...stage.progress, ...progress } } : stage;
        }),
      });
    }
  });
  return query;
}

/** Send a command; the answer is the project after it. What the screen shows comes from there, never from a guess. */
export function useCommand(id: string) {
  return useMutation({
    mutationFn: (command: Command) => sendCommand(id, command),
    onSuccess: keepAnswer,
  });
}

/** The project after a command, unless the page knows a newer one already. What was asked for before it was done would come
 *  later and be older. */
export async function keepAnswer(after: Project): Promise<void> {
  const { queryKey } = projectQuery(after.id);
  await queries.cancelQueries({ queryKey, exact: true });
  queries.setQueryData(queryKey, (known) => (known && known.version > after.version ? known : after));
}

export async function sendCommand(id: string, command: Command): Promise<Project> {
  return taken(
    api.POST("/api/v1/projects/{project}/commands", {
      params: { path: { project: id }, header: { "Idempotency-Key": newKey() } },
      body: command,
    }),
  );
}

/** For actions without a place of their own for a failure. */
export function tellFailure(title: string) {
  return (error: unknown) => {
    const problem = asProblem(error);
    notifications.show({
      title,
      message: `${problem.message} ${problem.hint}${problem.requestId ? ` (request ${problem.requestId})` : ""}`,
      color: "red",
      autoClose: false,
    });
    void queries.invalidateQueries({ queryKey: ["project"] });
  };
}

export function may(project: Project, what: "comment" | "run" | "manage"): boolean {
  return project.may.includes(what);
}

/** "0004" */
export function numbered(stage: number): string {
  return String(stage).padStart(4, "0");
}
