/** What was done can be taken back for a while, from wherever one is by then. */
import { notifications } from "@mantine/notifications";
import { Button } from "@/design/parts.tsx";
import { type Described, type Project, sendCommand, tellFailure, useCommand } from "./project.ts";

const OFFERED = 12_000; // ms

/** `said`: what was done, as a sentence. `undo`: brings back what was before, or fails with the reason. `of`: what it was
 * done to; what was offered for the same thing before is offered no longer, since it would undo both. */
export function undoable(said: string, undo: () => Promise<unknown>, of?: string): void {
  if (of) notifications.hide(of);
  const id = notifications.show({
    ...(of ? { id: of } : {}),
    autoClose: OFFERED,
    message: (
      <span className="row">
        <span className="grow">{said}</span>
        <Button
          small
          onClick={() => {
            notifications.hide(id);
            undo().then(
              () => notifications.show({ message: "Taken back.", autoClose: 3_000 }),
              tellFailure("It could not be taken back"),
            );
          }}
        >
          Undo
        </Button>
      </span>
    ),
  });
}

/** Change what a project is called, who takes part, what it may use, how long it keeps; what it was before can be brought
 * back for a while. */
export function useDescribe(project: Project) {
  const command = useCommand(project.id);
  const describe = (next: Described, said: string, done?: () => void) => {
    const keys = Object.keys(next) as (keyof Described)[];
    const before = Object.fromEntries(keys.map((key) => [key, project[key]])) as Described;
    command.mutate(
      { kind: "describe", ...next },
      {
        onSuccess: () => {
          done?.();
          const undo = () => sendCommand(project.id, { kind: "describe", ...before });
          undoable(said, undo, `${keys}:${project.id}`);
        },
      },
    );
  };
  return { describe, error: command.error, isPending: command.isPending };
}
