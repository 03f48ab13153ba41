import { beforeEach, expect, test } from "vitest";
import { keepAnswer, type Project, projectQuery } from "@/shared/project.ts";
import { queries } from "@/shared/queries.ts";

const of = (version: number) => ({ id: "p1", version }) as unknown as Project;
const { queryKey } = projectQuery("p1");

beforeEach(() => queries.clear());

test("the answer to a command does not take the place of what is newer", async () => {
  queries.setQueryData(queryKey, of(12));
  await keepAnswer(of(11));
  expect(queries.getQueryData(queryKey)?.version).toBe(12);
  await keepAnswer(of(13));
  expect(queries.getQueryData(queryKey)?.version).toBe(13);
});

test("what was asked for before a command was done does not come after its answer", async () => {
  let late: (project: Project) => void = () => {};
  queries.setQueryData(queryKey, of(10));
  const asked = queries
    .fetchQuery({ queryKey, queryFn: () => new Promise<Project>((done) => (late = done)), staleTime: 0 })
    .catch(() => undefined);
  await Promise.resolve();
  await keepAnswer(of(11));
  late(of(10));
  await asked;
  expect(queries.getQueryData(queryKey)?.version).toBe(11);
});
