import { Menu, Modal } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { duration } from "@/design/format.ts";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button } from "@/design/parts.tsx";
import { useNow } from "@/design/time.tsx";
import { Confirm } from "@/shared/Confirm.tsx";
import { useActs } from "@/shared/keys.ts";
import {
  keepAnswer,
  may,
  numbered,
  type Project,
  sendCommand,
  tellFailure,
  useCommand,
} from "@/shared/project.ts";
import { undoable, useDescribe } from "@/shared/undo.tsx";
import { type Action, actions } from "./actions.ts";
import { FollowDialog } from "./FollowDialog.tsx";
import { ParticipantsDialog } from "./Participants.tsx";

/** `hidden`: nothing of it is drawn, and all of it can be done from the palette. */
export function Actions({ project, hidden }: { project: Project; hidden?: boolean }) {
  const command = useCommand(project.id);
  const navigate = useNavigate();
  const [asking, setAsking] = useState<"" | "stop" | "kill" | "describe" | "people" | "told" | "trash">("");
  const send = (action: Extract<Action, { kind: "command" }>) =>
    command.mutate(action.command, { onError: tellFailure(`${action.word}: nothing was done`) });
  const act = (action: Action) => {
    if (action.kind === "command") send(action);
    else if (action.kind === "redo")
      void navigate({
        to: "/projects/$project/run",
        params: { project: project.id },
        search: { redo: action.stage },
      });
    else setAsking(action.kill ? "kill" : "stop");
  };
  // nothing is lost by what can be taken back: only what runs is asked about
  const losing = atWork(project).length > 0;
  const remove = losing ? "Delete…" : "Delete";
  const trash = () => {
    if (losing) setAsking("trash");
    else
      command.mutate(
        { kind: "trash_project" },
        {
          onSuccess: () => trashed(project, () => void navigate({ to: "/projects" })),
          onError: tellFailure("It was not deleted"),
        },
      );
  };
  const possible = actions(project);
  useActs("This project", [
    ...possible.map((action) => ({ does: action.word, act: () => act(action) })),
    ...(may(project, "run")
      ? [
          {
            does: "Run a stage…",
            act: () =>
              void navigate({ to: "/projects/$project/run", params: { project: project.id }, search: {} }),
          },
          { does: "Name, tags, priority…", act: () => setAsking("describe") },
        ]
      : []),
    ...(may(project, "comment") ? [{ does: "What I am told of it…", act: () => setAsking("told") }] : []),
    ...(may(project, "manage")
      ? [
          { does: "Who takes part…", act: () => setAsking("people") },
          { does: remove, act: trash },
        ]
      : []),
  ]);
  const dialogs = (
    <>
      <StopDialog project={project} opened={asking === "stop"} onClose={() => setAsking("")} />
      <KillDialog project={project} opened={asking === "kill"} onClose={() => setAsking("")} />
      <DescribeDialog project={project} opened={asking === "describe"} onClose={() => setAsking("")} />
      {asking === "people" ? <ParticipantsDialog project={project} onClose={() => setAsking("")} /> : null}
      {asking === "told" ? <FollowDialog project={project} onClose={() => setAsking("")} /> : null}
      <TrashDialog project={project} opened={asking === "trash"} onClose={() => setAsking("")} />
    </>
  );
  if (hidden) return dialogs;
  return (
    <div className="acts">
      {possible.map((action) => (
        <Button
          key={action.word}
          icon={action.icon}
          look={
            "primary" in action && action.primary ? "primary" : action.kind === "stop" ? "danger" : "plain"
          }
          aria-pressed={
            action.kind === "command" && action.pressed !== undefined ? action.pressed : undefined
          }
          busy={action.kind === "command" && command.isPending}
          onClick={() => act(action)}
        >
          {action.word}
        </Button>
      ))}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button icon="more" aria-label="More" />
        </Menu.Target>
        <Menu.Dropdown>
          {may(project, "run") ? (
            <>
              <Menu.Item
                onClick={() =>
                  void navigate({ to: "/projects/$project/run", params: { project: project.id }, search: {} })
                }
              >
                Run a stage…
              </Menu.Item>
              <Menu.Item onClick={() => setAsking("describe")}>Name, tags, priority…</Menu.Item>
              <Menu.Item
                onClick={() =>
                  void navigate({ to: "/projects/$project/space", params: { project: project.id } })
                }
              >
                Limits and cleaning up
              </Menu.Item>
            </>
          ) : null}
          {may(project, "comment") ? (
            <Menu.Item onClick={() => setAsking("told")}>What I am told of it…</Menu.Item>
          ) : null}
          {may(project, "manage") ? (
            <>
              <Menu.Item onClick={() => setAsking("people")}>Who takes part…</Menu.Item>
              <Menu.Item color="var(--wn-bad)" onClick={trash}>
                {remove}
              </Menu.Item>
            </>
          ) : null}
        </Menu.Dropdown>
      </Menu>
      {dialogs}
    </div>
  );
}

function trashed(project: Project, leave: () => void): void {
  leave();
  undoable(`${project.name} is in the trash.`, async () => {
    await keepAnswer(await sendCommand(project.id, { kind: "restore_project" }));
  });
}

interface DialogProps {
  project: Project;
  opened: boolean;
  onClose: () => void;
}

function atWork(project: Project) {
  return project.stages.filter((s) => ["preparing", "submitted", "running"].includes(s.state));
}

function StopDialog({ project, opened, onClose }: DialogProps) {
  const command = useCommand(project.id);
  const now = useNow();
  const working = atWork(project);
  const first = working[0];
  if (!first) return null;
  const name = working.length === 1 ? `${first.id} ${numbered(first.number)}` : `${working.length} stages`;
  const ran = first.started ? duration(now - Date.parse(first.started)) : "";
  const grace =
    project.pipeline.stages.find((s) => s.definition.id === first.id)?.definition.stop_grace ?? 30;
  return (
    <Confirm
      opened={opened}
      title={`Stop ${name}?`}
      yes={`Stop ${name}`}
      no="Let it run"
      busy={command.isPending}
      error={command.error}
      onConfirm={() => command.mutate({ kind: "stop_project", kill: false }, { onSuccess: onClose })}
      onClose={onClose}
    >
      {ran ? `${ran} of work ends here. ` : ""}Log and workspace are kept, and the project pauses. {first.id}{" "}
      gets {duration(grace * 1000)} to finish writing.
    </Confirm>
  );
}

function KillDialog({ project, opened, onClose }: DialogProps) {
  const command = useCommand(project.id);
  const name = atWork(project)
    .map((s) => s.id)
    .join(", ");
  return (
    <Confirm
      opened={opened}
      title={`Kill ${name}?`}
      word="kill"
      yes={`Kill ${name}`}
      no="Wait"
      busy={command.isPending}
      error={command.error}
      onConfirm={() => command.mutate({ kind: "stop_project", kill: true }, { onSuccess: onClose })}
      onClose={onClose}
    >
      It was asked to stop and has not ended yet. Killed at once it cannot write what it has in memory.
    </Confirm>
  );
}

function DescribeDialog({ project, opened, onClose }: DialogProps) {
  const { describe, error, isPending } = useDescribe(project);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const tags = String(form.get("tags"))
      .split(/[\s,]+/)
      .filter(Boolean);
    const name = String(form.get("name")).trim();
    const priority = Number(form.get("priority"));
    describe({ name, tags, priority }, `${project.name} was changed.`, onClose);
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Name, tags, priority" centered>
      <form className="col gap" onSubmit={submit}>
        <label className="field">
          <span className="lbl">Name</span>
          <input
            className="in"
            name="name"
            defaultValue={project.name}
            required
            maxLength={200}
            data-autofocus
          />
        </label>
        <label className="field">
          <span className="lbl">Tags</span>
          <input className="in" name="tags" defaultValue={project.tags.join(" ")} />
        </label>
        <label className="field">
          <span className="lbl">Priority, 0 to 100; higher goes first</span>
          <input
            className="in"
            name="priority"
            type="number"
            min={0}
            max={100}
            defaultValue={project.priority}
          />
        </label>
        {error ? <ProblemNote error={error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" busy={isPending}>
            Save
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function TrashDialog({ project, opened, onClose }: DialogProps) {
  const command = useCommand(project.id);
  const navigate = useNavigate();
  return (
    <Confirm
      opened={opened}
      title={`Delete ${project.name}?`}
      yes="Delete the project"
      no="Keep it"
      busy={command.isPending}
      error={command.error}
      onConfirm={() =>
        command.mutate(
          { kind: "trash_project" },
          { onSuccess: () => trashed(project, () => void navigate({ to: "/projects" })) },
        )
      }
      onClose={onClose}
    >
      What runs is stopped, and the project moves to the trash with all its files. It can be taken back until
      the trash is emptied.
    </Confirm>
  );
}
