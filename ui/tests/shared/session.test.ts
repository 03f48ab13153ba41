import { afterEach, expect, test, vi } from "vitest";
import { queries } from "@/shared/queries.ts";
import { logOut, sessionQuery } from "@/shared/session.ts";

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
