/** What one can be told of, in words; and the same routes for oneself and for the whole installation. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";

export type Channel = components["schemas"]["ChannelView"];
export type Fresh = components["schemas"]["FreshChannel"];
export type Undelivered = components["schemas"]["Undelivered"];
export type Tested = components["schemas"]["TestView"];
export type What = Channel["events"] extends (infer E)[] | null ? E : never;
export type Whose = "own" | "installation";

export const EVENTS: { what: What; word: string; about: string; node?: true }[] = [
  { what: "gate", word: "A question", about: "a project waits for a person" },
  { what: "failure", word: "A failure", about: "a stage failed, and what comes after it waits" },
  { what: "finished", word: "The end", about: "a project is done" },
  { what: "impossible", word: "It can never start", about: "no node has what a stage asks for" },
  { what: "node", word: "A node", about: "one is down, or back", node: true },
];

export const WHICH: { which: components["schemas"]["NotificationsView"]["which"]; word: string }[] = [
  { which: "own", word: "mine, and those I was added to by name" },
  { which: "groups", word: "also those of my groups" },
  { which: "all", word: "all that I may see" },
];

/** "a question, a failure"; empty: nothing. */
export function words(events: readonly string[]): string {
  return EVENTS.filter((e) => events.includes(e.what))
    .map((e) => e.word.toLowerCase())
    .join(", ");
}

/** In the order of the list, as the server has no other. */
export function toggled(events: readonly What[], what: What): What[] {
  const on = !events.includes(what);
  return EVENTS.map((e) => e.what).filter((e) => (e === what ? on : events.includes(e)));
}

/** What an address is, by how it begins: the form says so while one types. */
export function kindOf(address: string): Channel["kind"] | "" {
  const text = address.trim();
  if (/^https?:\/\//i.test(text)) return "webhook";
  return /^[a-z][a-z0-9+.-]*:\/\/./i.test(text) ? "chat" : "";
}

export const toldQuery = queryOptions({
  queryKey: ["notifications", "own"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/notifications", { signal })),
});

export const ofAllQuery = queryOptions({
  queryKey: ["notifications", "installation"],
  queryFn: ({ signal }) => taken(api.GET("/api/v1/notifications/installation", { signal })),
});

/** The same calls under either address. */
export const calls = {
  own: {
    add: (body: components["schemas"]["NewChannel"]) =>
      taken(api.POST("/api/v1/notifications/channels", { body })),
    change: (channel: string, body: components["schemas"]["ChannelChange"]) =>
      taken(api.PATCH("/api/v1/notifications/channels/{channel}", { params: { path: { channel } }, body })),
    remove: (channel: string) =>
      taken(api.DELETE("/api/v1/notifications/channels/{channel}", { params: { path: { channel } } })),
    test: (channel: string) => taken(api.POST("/api/v1/notifications/tests", { body: { channel } })),
    tested: (test: string) =>
      taken(api.GET("/api/v1/notifications/tests/{test}", { params: { path: { test } } })),
    retry: (message: string) =>
      taken(api.POST("/api/v1/notifications/undelivered/{message}/retry", { params: { path: { message } } })),
    discard: (message: string) =>
      taken(api.DELETE("/api/v1/notifications/undelivered/{message}", { params: { path: { message } } })),
  },
  installation: {
    add: (body: components["schemas"]["NewChannel"]) =>
      taken(api.POST("/api/v1/notifications/installation/channels", { body })),
    change: (channel: string, body: components["schemas"]["ChannelChange"]) =>
      taken(
        api.PATCH("/api/v1/notifications/installation/channels/{channel}", {
          params: { path: { channel } },
          body,
        }),
      ),
    remove: (channel: string) =>
      taken(
        api.DELETE("/api/v1/notifications/installation/channels/{channel}", {
          params: { path: { channel } },
        }),
      ),
    test: (channel: string) =>
      taken(api.POST("/api/v1/notifications/installation/tests", { body: { channel } })),
    tested: (test: string) =>
      taken(api.GET("/api/v1/notifications/installation/tests/{test}", { params: { path: { test } } })),
    retry: (message: string) =>
      taken(
        api.POST("/api/v1/notifications/installation/undelivered/{message}/retry", {
          params: { path: { message } },
        }),
      ),
    discard: (message: string) =>
      taken(
        api.DELETE("/api/v1/notifications/installation/undelivered/{message}", {
          params: { path: { message } },
        }),
      ),
  },
} as const;
