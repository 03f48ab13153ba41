/** What failed in a project: the first few with their last words, the others by name, and one action for all of them. */
import { useState } from "react";
import { plural } from "@/design/format.ts";
import { Button } from "@/design/parts.tsx";
import { FailureCard } from "./FailureCard.tsx";
import { type Command, may, type Project, sendCommand, tellFailure } from "./project.ts";

const SHOWN = 3; // at once

export function Failures({ project }: { project: Project }) {
  const [every, setEvery] = useState(false);
  const [busy, setBusy] = useState(false);
  const failures = project.failures.filter((f) => !f.acknowledged);
  const others = failures.slice(SHOWN);
  /** One after the other: each is asked of the project as the one before left it. */
  const all = async (command: (stage: number, last: boolean) => Command, refused: string) => {
    setBusy(true);
    try {
      for (const failure of failures)
        await sendCommand(project.id, command(failure.stage, failure === failures.at(-1)));
    } catch (error) {
      tellFailure(refused)(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      {failures.length > 1 && may(project, "run") ? (
        <div className="row wrap">
          <Button
            icon="redo"
            busy={busy}
            title="Each with the values it had, beside one another"
            onClick={() => void all(again, "Not all were redone")}
          >
            Redo all {failures.length}
          </Button>
          <Button
            busy={busy}
            title="What follows them goes on without them"
            onClick={() => void all((stage) => ({ kind: "skip_stage", stage }), "Not all were skipped")}
          >
            Skip all {failures.length}
          </Button>
        </div>
      ) : null}
      {(every ? failures : failures.slice(0, SHOWN)).map((failure, at) => (
        <FailureCard key={failure.stage} project={project} failure={failure} first={at === 0} />
      ))}
      {others.length && !every ? (
        <Button className="many" onClick={() => setEvery(true)}>
          {plural(others.length, "more failure")}:{" "}
          {others
            .toSorted((a, b) => a.stage - b.stage)
            .map((f) => f.id)
            .join(", ")}
        </Button>
      ) : null}
    </>
  );
}

/** Only the last ends the pause: what fails again meanwhile is not taken for something that was looked at. */
function again(stage: number, last: boolean): Command {
  return {
    kind: "redo_stage",
    stage,
    overrides: { values: {}, environment: {} },
    sweep: {},
    sweep_workspace: "",
    max_running: null,
    comment: "",
    pause_after: false,
    at_once: true,
    resume: last,
  };
}
