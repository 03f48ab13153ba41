/** The one way to the server: typed by its own description, with the session's CSRF token, every failure an ApiProblem. */
import createClient, { type Middleware } from "openapi-fetch";
import { ApiProblem } from "./problem.ts";
import type { paths } from "./schema";

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
const PATIENCE = 30_000; // milliseconds; what is asked for is small, and a share that hangs must not leave a page empty for ever
const PATIENCE_TO_DO = 120_000; // for what changes something: some of it copies files
let csrf = "";
let expired: () => void = () => {};

/** Called after log-in and with every answer about the session. */
export function useToken(token: string): void {
  csrf = token;
}

export function csrfToken(): string {
  return csrf;
}

/** `tell` is called when the server no longer knows who we are, or knows us by another session. */
export function onExpiry(tell: () => void): void {
  expired = tell;
}

const guard: Middleware = {
  onRequest({ request }) {
    if (!SAFE.has(request.method)) request.headers.set("x-csrf-token", csrf);
    return request;
  },
  async onResponse({ response, request, options }) {
    if (response.ok) return options.parseAs === "json" ? read(response) : response;
    if (response.status === 304) return response;
    const problem = await ApiProblem.of(response);
    // a token that is not this session's any more belongs to one that has ended: in another tab somebody logged in anew
    if ((problem.status === 401 || problem.code === "session.csrf") && !request.url.endsWith("/session"))
      expired();
    throw problem;
  },
  onError({ error }) {
    return error instanceof ApiProblem ? error : ApiProblem.away();
  },
};

/** With what it says read already: what cannot be read is told with the request's id, as any other failure. */
async function read(response: Response): Promise<Response> {
  if (response.status === 204) return response;
  const text = await response.text().catch((error) => {
    throw error instanceof ApiProblem ? error : ApiProblem.away();
  });
  if (!text) return new Response(null, { status: 204 });
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw ApiProblem.unreadable(response);
  }
  const headers = new Headers(response.headers);
  headers.set("content-length", `${text.length}`);
  const known = new Response(null, { status: response.status, headers });
  return Object.defineProperty(known, "json", { value: async () => body });
}

async function inTime(request: Request): Promise<Response> {
  const limit = SAFE.has(request.method) ? PATIENCE : PATIENCE_TO_DO;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(ApiProblem.slow(limit)), limit);
  const response = await fetch(request, { signal: AbortSignal.any([request.signal, late.signal]) });
  // its body may come for as long again
  clearTimeout(timer);
  setTimeout(() => late.abort(ApiProblem.slow(limit)), limit);
  return response;
}

export const api = createClient<paths>({ baseUrl: "/", fetch: inTime });
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
