/** Who sees a project, and what each may do with it. The author stays its owner. */
import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { Icon } from "@/design/Icon.tsx";
import { ProblemNote } from "@/design/Problem.tsx";
import { Avatar, Button, Tag } from "@/design/parts.tsx";
import { groupsQuery } from "@/shared/people.ts";
import type { Project } from "@/shared/project.ts";
import { useDescribe } from "@/shared/undo.tsx";
import { added, EVERYBODY, nameOf, ROLES } from "./participants.ts";

type Member = components["schemas"]["Member"];

export function ParticipantsDialog({ project, onClose }: { project: Project; onClose: () => void }) {
  const { describe, error, isPending } = useDescribe(project);
  const [members, setMembers] = useState<readonly Member[]>(() =>
    project.participants.filter((member) => member.user !== project.author),
  );
  const [typed, setTyped] = useState("");
  const [role, setRole] = useState<Member["role"]>("member");
  const users = useQuery({
    queryKey: ["people", "names"],
    queryFn: ({ signal }) =>
      taken(api.GET("/api/v1/users", { params: { query: { active: true, limit: 500 } }, signal })),
  });
  const groups = useQuery(groupsQuery);
  const known = [
    EVERYBODY,
    ...(groups.data?.items ?? []).map((group) => `@${group.name}`),
    ...(users.data?.items ?? []).map((user) => user.name),
  ];
  const { members: next, wrong } = added(members, typed, role, project.author, known);
  const changed =
    JSON.stringify(members) !== JSON.stringify(project.participants.filter((m) => m.user !== project.author));
  const save = () => {
    const author: Member = { user: project.author, role: "owner" };
    describe(
      { participants: [author, ...members] },
      `Who takes part in ${project.name} was changed.`,
      onClose,
    );
  };
  const full = (name: string) => users.data?.items.find((user) => user.name === name)?.display_name ?? "";
  return (
    <Modal opened onClose={onClose} title={`Who takes part in ${project.name}`} size={560} centered>
      <div className="col gap">
        <ul className="members">
          <li>
            <Avatar name={full(project.author) || project.author || "?"} />
            <span className="grow">
              <b>{full(project.author) || project.author || "nobody"}</b> <span className="m3">author</span>
            </span>
            <Tag>owner</Tag>
          </li>
          {members.map((member) => (
            <li key={member.user}>
              {member.user.startsWith("@") ? (
                <Icon name="group" />
              ) : (
                <Avatar name={full(member.user) || member.user} />
              )}
              <span className="grow">
                <b>{full(member.user) || nameOf(member.user)}</b>{" "}
                <span className="m3">{full(member.user) ? member.user : ""}</span>
              </span>
              <select
                className="in narrow"
                aria-label={`Role of ${nameOf(member.user)}`}
                value={member.role}
                onChange={(event) =>
                  setMembers(
                    members.map((each) =>
                      each.user === member.user
                        ? { ...each, role: event.target.value as Member["role"] }
                        : each,
                    ),
                  )
                }
              >
                {ROLES.map(([value, words]) => (
                  <option key={value} value={value}>
                    {value}: {words}
                  </option>
                ))}
              </select>
              <Button
                small
                look="ghost"
                icon="x"
                aria-label={`Take ${nameOf(member.user)} out`}
                onClick={() => setMembers(members.filter((each) => each.user !== member.user))}
              />
            </li>
          ))}
        </ul>
        {members.length ? null : (
          <p className="m2">Nobody else sees it, but administrators and maintainers.</p>
        )}
        <form
          className="row members-add"
          onSubmit={(event) => {
            event.preventDefault();
            if (wrong || !typed) return;
            setMembers(next);
            setTyped("");
          }}
        >
          <span className="grow">
            <input
              className="in"
              aria-label="Add a person or a group"
              placeholder="a person, or @group"
              list="known-people"
              autoCapitalize="none"
              data-autofocus
              value={typed}
              aria-invalid={!!typed && !!wrong}
              onChange={(event) => setTyped(event.target.value)}
            />
          </span>
          <datalist id="known-people">
            {known.map((name) => (
              <option key={name} value={name}>
                {full(name) || nameOf(name)}
              </option>
            ))}
          </datalist>
          <select
            className="in narrow"
            aria-label="Role"
            value={role}
            onChange={(event) => setRole(event.target.value as Member["role"])}
          >
            {ROLES.map(([value]) => (
              <option key={value}>{value}</option>
            ))}
          </select>
          <Button type="submit" disabled={!typed || !!wrong}>
            Add
          </Button>
        </form>
        {typed && wrong ? <p className="err">{wrong}</p> : null}
        {error ? <ProblemNote error={error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" disabled={!changed} busy={isPending} onClick={save}>
            Save who takes part
          </Button>
        </div>
      </div>
    </Modal>
  );
}
