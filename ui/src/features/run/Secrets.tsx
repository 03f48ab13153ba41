/** Secrets of a project: entered, replaced, removed, and never shown. What is prepared already keeps what it had. */
import { type FormEvent, useState } from "react";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Button, Tag } from "@/design/parts.tsx";
import { may, type Project, useCommand } from "@/shared/project.ts";
import { queries } from "@/shared/queries.ts";
import type { Form } from "./draft.ts";

export function Secrets({ project, form }: { project: Project; form: Form }) {
  return (
    <ul className="secrets">
      {form.secrets.map((secret) => (
        <One key={secret.name} project={project} secret={secret} />
      ))}
    </ul>
  );
}

function One({ project, secret }: { project: Project; secret: Form["secrets"][number] }) {
  const command = useCommand(project.id);
  const [doing, setDoing] = useState<"" | "enter" | "remove">("");
  const [typed, setTyped] = useState("");
  const { name, given, required } = secret;
  const set = (value: string | null) =>
    command.mutate(
      { kind: "set_secrets", secrets: { [name]: value } },
      {
        onSuccess: async () => {
          setTyped("");
          setDoing("");
          await queries.invalidateQueries({ queryKey: ["form", project.id] });
        },
      },
    );
  const enter = (event: FormEvent) => {
    event.preventDefault();
    event.stopPropagation();
    if (typed) set(typed);
  };
  return (
    <li>
      <span className="row wrap">
        <Icon name="lock" />
        <code>{name}</code>
        {given ? (
          <Tag kind="ok">is set</Tag>
        ) : (
          <Tag kind={required ? "ask" : ""}>{required ? "is needed" : "is not set, and need not be"}</Tag>
        )}
        <span className="grow" />
        {may(project, "manage") && !doing ? (
          <>
            <Button small onClick={() => setDoing("enter")}>
              {given ? "Replace" : "Enter it"}
            </Button>
            {given ? (
              <Button small look="ghost" onClick={() => setDoing("remove")}>
                Remove
              </Button>
            ) : null}
          </>
        ) : null}
      </span>
      {doing === "enter" ? (
        // a form in a form is none: the button and Enter do it
        <span className="row">
          <input
            className="in mono"
            type="password"
            autoComplete="off"
            // biome-ignore lint/a11y/noAutofocus: it was asked for by the click that made it
            autoFocus
            aria-label={`Value of ${name}`}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) enter(event);
              if (event.key === "Escape") {
                setTyped("");
                setDoing("");
              }
            }}
          />
          <Button look="plain" disabled={!typed} busy={command.isPending} onClick={enter}>
            Keep it
          </Button>
          <Button
            look="ghost"
            onClick={() => {
              setTyped("");
              setDoing("");
            }}
          >
            Cancel
          </Button>
        </span>
      ) : doing === "remove" ? (
        <span className="row wrap">
          <span className="m2 grow">
            Nothing brings it back; stages that need it wait until somebody enters it again.
          </span>
          <Button small onClick={() => setDoing("")}>
            Leave it
          </Button>
          <Button small look="danger" busy={command.isPending} onClick={() => set(null)}>
            Remove {name}
          </Button>
        </span>
      ) : null}
      {doing === "enter" ? (
        <p className="help">Encrypted at once and never shown again. It counts for all stages from now on.</p>
      ) : null}
      {command.error ? <ProblemNote error={command.error} /> : null}
    </li>
  );
}
