/** What one can be told of, in words. Pure. */
import type { components } from "@/api/schema";

export type What = components["schemas"]["NotificationsView"]["events"][number];

export const EVENTS: { what: What; word: string; about: string; node?: true }[] = [
  { what: "gate", word: "A question", about: "a project waits for a person" },
  { what: "failure", word: "A failure", about: "a stage failed, and what comes after it waits" },
  { what: "finished", word: "The end", about: "a project is done" },
  { what: "impossible", word: "It can never start", about: "no node has what a stage asks for" },
  { what: "node", word: "A node", about: "one is down, or back", node: true },
];

/** In the order of the list, as the server has no other. */
export function toggled(events: readonly What[], what: What): What[] {
  const on = !events.includes(what);
  return EVENTS.map((e) => e.what).filter((e) => (e === what ? on : events.includes(e)));
}
