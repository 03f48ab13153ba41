/** Who is at the keyboard. Asked once, kept current by every answer about it; when it ends the page stays as it is. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import { create } from "zustand";
import { api, useToken as keepToken, onExpiry, taken } from "@/api/client.ts";
import { ApiProblem, asProblem } from "@/api/problem.ts";
import type { components } from "@/api/schema";
import { live } from "./live.ts";
import { queries } from "./queries.ts";

export type Session = components["schemas"]["SessionView"];

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await taken(api.GET("/api/v1/session"));
      keepToken(session.csrf ?? "");
      return session;
    } catch (error) {
      if (!(error instanceof ApiProblem && error.status === 401)) throw error;
      // who was logged in stays so on the page, with what was typed there, until the log-in on top of it
      const known = queries.getQueryData<Session | null>(["session"]);
      if (known) useExpired.setState({ expired: true });
      return known ?? null;
    }
  },
  staleTime: 60_000,
});

/** Whether the session has ended under an open page. */
export const useExpired = create<{ expired: boolean }>(() => ({ expired: false }));
// asking says whether it is so: another tab may have begun a new one, whose token is taken over
onExpiry(() => {
  if (queries.getQueryData(sessionQuery.queryKey))
    queries.fetchQuery({ ...sessionQuery, staleTime: 0 }).catch(() => undefined);
});

export function useSession(): Session | null {
  return useQuery(sessionQuery).data ?? null;
}

export async function logIn(body: { user: string; password: string } | { link: string }): Promise<Session> {
  const session = await taken(
    api.POST("/api/v1/session", { body: { user: "", password: "", link: "", ...body } }),
  );
  keepToken(session.csrf ?? "");
  queries.setQueryData(sessionQuery.queryKey, session);
  useExpired.setState({ expired: false });
  live.retry(); // which had come to wait ever longer
  return session;
}

/** Raises what the server says, or that it cannot be reached: the session would go on, whatever the page showed. */
export async function logOut(): Promise<void> {
  await api.DELETE("/api/v1/session").catch((error) => {
    if (asProblem(error).status !== 401) throw error;
  });
  keepToken("");
  queries.clear();
}
