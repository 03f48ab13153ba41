/** The one way to the server: typed by its own description, with the session's CSRF token, every failure an ApiProblem. */
import createClient, { type Middleware } from "openapi-fetch";
import { ApiProblem } from "./problem.ts";
import type { paths } from "./schema";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
let csrf = "";
let expired: () => void = () => {};

/** Called after log-in and with every answer about the session. */
export function useToken(token: string): void {
  csrf = token;
}

export function csrfToken(): string {
  return csrf;
}

/** `tell` is called when the server no longer knows who we are. */
export function onExpiry(tell: () => void): void {
  expired = tell;
}

const guard: Middleware = {
  onRequest({ request }) {
    if (!SAFE.has(request.method)) request.headers.set("x-csrf-token", csrf);
    return request;
  },
  async onResponse({ response, request }) {
    if (response.ok || response.status === 304) return response;
    const problem = await ApiProblem.of(response);
    if (problem.status === 401 && !request.url.endsWith("/session")) expired();
    throw problem;
  },
  onError() {
    return ApiProblem.away();
  },
};

export const api = createClient<paths>({ baseUrl: "/" });
api.use(guard);

/** A key under which a command is done once, however often it is sent. */
export function newKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (b) => b.toString(16).padStart(2, "0")).join("");
}

/** The answer of a call that was well; failures have been thrown before. What a route can also give as text (CSV) is not asked
 *  for here. */
export async function taken<T>(call: Promise<{ data?: T }>): Promise<Exclude<T, string>> {
  const { data } = await call;
  return data as Exclude<T, string>;
}
