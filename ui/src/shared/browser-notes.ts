/** Notes of the browser itself, while the tab is in the background: whether they are wanted, and what is told of a change. */
import { create } from "zustand";
import { persist } from "zustand/middleware";
import type { components } from "@/api/schema";

type Row = components["schemas"]["Row"];
/** missing: the browser has none here */
export type Allowed = NotificationPermission | "missing";

interface Telling {
  wanted: boolean;
  state: Allowed;
}

export const useTelling = create<Telling>()(
  persist((): Telling => ({ wanted: false, state: present() }), {
    name: "winslow.telling",
    partialize: ({ wanted }): Partial<Telling> => ({ wanted }),
  }),
);

function present(): Allowed {
  return typeof Notification === "undefined" || !window.isSecureContext ? "missing" : Notification.permission;
}

export function allowed(state: Allowed): boolean {
  return state === "granted";
}

/** By a click only: browsers refuse for good what is asked for without one. */
export async function askToTell(wanted: boolean): Promise<void> {
  if (!wanted || present() === "missing") {
    useTelling.setState({ wanted: false, state: present() });
    return;
  }
  const state = await Notification.requestPermission();
  useTelling.setState({ wanted: allowed(state), state });
}

export interface Told {
  /** the same thing again takes the place of the first */
  tag: string;
  title: string;
  body: string;
  to: string;
}

/** What came with a change of a project. `before`: as it was last known; of what was not known before only questions and
 *  failures are told that are younger than `fresh` ms. */
export function happened(before: Row | undefined, row: Row, now: number, fresh = 60_000): Told[] {
  const young = (since: string) => before !== undefined || now - Date.parse(since) < fresh;
  const to = `/projects/${row.id}`;
  const told: Told[] = [];
  const gates = new Set(before?.gates?.map((gate) => gate.id));
  for (const gate of row.gates ?? []) {
    if (!gates.has(gate.id) && young(gate.since) && row.role !== "viewer")
      told.push({ tag: `gate:${row.id}:${gate.id}`, title: row.name, body: gate.question, to });
  }
  const failures = new Set(before?.failures?.map((failure) => failure.stage));
  for (const failure of row.failures ?? []) {
    if (!failures.has(failure.stage) && !failure.acknowledged && young(failure.since))
      told.push({
        tag: `failure:${row.id}:${failure.stage}`,
        title: `${row.name}: ${failure.id} failed`,
        body: failure.message,
        to,
      });
  }
  if (before && before.state !== "succeeded" && row.state === "succeeded")
    told.push({ tag: `end:${row.id}`, title: `${row.name} is done`, body: "All stages succeeded.", to });
  return told;
}

/** One's own, and those one was added to by name. */
export function mine(row: Row, me: string): boolean {
  return row.author === me || (row.participants ?? []).some((member) => member.user === me);
}
