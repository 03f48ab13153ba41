import { afterEach, expect, test, vi } from "vitest";
import { api } from "@/api/client.ts";
import { queries } from "@/shared/queries.ts";
import { logOut, sessionQuery, useExpired } from "@/shared/session.ts";

afterEach(() => vi.unstubAllGlobals());

test("a session that goes on is not shown as ended", async () => {
  queries.setQueryData(sessionQuery.queryKey, { user: "ada" } as never);
  vi.stubGlobal("fetch", async () => {
    throw new TypeError("failed to fetch");
  });
  await expect(logOut()).rejects.toMatchObject({ code: "unreachable" });
  expect(queries.getQueryData(sessionQuery.queryKey)).toEqual({ user: "ada" });
  vi.stubGlobal("fetch", async () =>
    Response.json({ status: 401, code: "session.required" }, { status: 401 }),
  );
  await logOut();
  expect(queries.getQueryData(sessionQuery.queryKey)).toBeUndefined();
});

test("a session that another tab has begun is taken over, and only one that has ended is asked for anew", async () => {
  queries.setQueryData(sessionQuery.queryKey, { user: "ada" } as never);
  const tokens: (string | null)[] = [];
  let gone = false;
  vi.stubGlobal("fetch", async (request: Request) => {
    if (request.method === "GET")
      return gone
        ? Response.json({ code: "session.required" }, { status: 401 })
        : Response.json({ user: "ada", csrf: "new" });
    tokens.push(request.headers.get("x-csrf-token"));
    const good = request.headers.get("x-csrf-token") === "new" && !gone;
    return good
      ? Response.json({})
      : Response.json({ code: gone ? "x" : "session.csrf" }, { status: gone ? 401 : 403 });
  });
  const elsewhere = () => api.POST("/api/v1/bulk", { body: {} as never });
  await expect(elsewhere()).rejects.toMatchObject({ code: "session.csrf" });
  await vi.waitFor(() => expect(queries.getQueryData(sessionQuery.queryKey)).toMatchObject({ csrf: "new" }));
  await elsewhere();
  expect(tokens.at(-1)).toBe("new");
  expect(useExpired.getState().expired).toBe(false);
  gone = true;
  await expect(elsewhere()).rejects.toMatchObject({ status: 401 });
  await vi.waitFor(() => expect(useExpired.getState().expired).toBe(true));
});
