/** What one can be told of, in words; and the same routes for oneself and for the whole installation. */
import { queryOptions } from "@tanstack/react-query";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { EVENTS } from "@/shared/events.ts";

export { EVENTS, toggled, type What } from "@/shared/events.ts";

export type Channel = components["schemas"]["ChannelView"];
export type Fresh = components["schemas"]["FreshChannel"];
export type Undelivered = components["schemas"]["Undelivered"];
export type Tested = components["schemas"]["TestView"];
export type Whose = "own" | "installation";

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
