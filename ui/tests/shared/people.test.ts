import { afterEach, expect, test, vi } from "vitest";
import { usersQuery } from "@/shared/people.ts";
import { queries } from "@/shared/queries.ts";

afterEach(() => vi.unstubAllGlobals());

test("all people are asked for, however many pages they are", async () => {
  const names = Array.from({ length: 1203 }, (_, at) => `user${String(at).padStart(5, "0")}`);
  vi.stubGlobal("fetch", async (request: Request) => {
    const query = new URL(request.url, "http://here").searchParams;
    const rest = names.filter((name) => name > (query.get("after") ?? ""));
    const shown = rest.slice(0, Number(query.get("limit") ?? 100));
    const next = rest.length > shown.length ? shown.at(-1) : "";
    return Response.json({ items: shown.map((name) => ({ name })), next });
  });
  const found = await queries.fetchQuery(usersQuery);
  expect(found.items.map((user) => user.name)).toEqual(names);
});
