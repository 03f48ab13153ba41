/** The state under which a project is shown in lists. */
import type { components } from "@/api/schema";
import type { State } from "@/design/state.tsx";

export function projectState(row: Pick<components["schemas"]["Row"], "state" | "pause">): State {
  if (row.state === "paused" && (row.pause?.kind === "failure" || row.pause?.kind === "impossible"))
    return "paused-failure";
  return row.state as State;
}
