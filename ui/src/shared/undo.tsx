/** What was done can be taken back for a while, from wherever one is by then. */
import { notifications } from "@mantine/notifications";
import { Button } from "@/design/parts.tsx";
import { tellFailure } from "./project.ts";

const OFFERED = 12_000; // ms

/** `said`: what was done, as a sentence. `undo`: brings back what was before, or fails with the reason. */
export function undoable(said: string, undo: () => Promise<unknown>): void {
  const id = notifications.show({
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
