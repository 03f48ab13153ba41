/** What somebody has typed into the form of a new project, but for its secrets, which are kept nowhere. Pure. */
import type { components } from "@/api/schema";

type Pipeline = components["schemas"]["Pipeline"];
type Body = components["schemas"]["NewProject"];

export interface Draft {
  /** null: nobody has named it */
  name: string | null;
  values: Record<string, string>;
  tags: string;
}

export const FRESH: Draft = { name: null, values: {}, tags: "" };

/** A project is called as somebody wants, and is usually called like its video: the file that the parameter `file` names. */
export function nameOf({ name, values }: Draft, file: string | undefined): string {
  if (name !== null) return name;
  const path = (file && values[file]) || "";
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "");
}

/** What is sent of it: values for which the pipeline does not ask any more are left out. */
export function sentOf(
  draft: Draft,
  pipeline: Pick<Pipeline, "name" | "title" | "parameters">,
  file: string | undefined,
): Pick<Body, "name" | "values" | "tags"> {
  const asked = pipeline.parameters ?? {};
  return {
    name: nameOf(draft, file).trim() || pipeline.title || pipeline.name,
    values: Object.fromEntries(Object.entries(draft.values).filter(([each]) => each in asked)),
    tags: draft.tags.split(/[\s,]+/).filter(Boolean),
  };
}
