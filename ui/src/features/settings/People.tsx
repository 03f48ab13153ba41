/** Users and groups, for administrators. */
import { Menu, Modal } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, taken } from "@/api/client.ts";
import type { components } from "@/api/schema";
import { ProblemNote, ProblemPage } from "@/design/Problem.tsx";
import { Avatar, Button, Empty, Note, Skeleton, Tag } from "@/design/parts.tsx";
import { groupsQuery, usersQuery } from "@/shared/people.ts";
import { queries } from "@/shared/queries.ts";
import { useSession } from "@/shared/session.ts";

type User = components["schemas"]["UserView"];
type Role = components["schemas"]["Role"];
const ROLES: [Role, string][] = [
  ["viewer", "sees what is shared"],
  ["member", "makes and runs projects"],
  ["maintainer", "looks after all projects, pipelines, nodes"],
  ["admin", "people and settings as well"],
];
const fresh = () => queries.invalidateQueries({ queryKey: ["people"] });

export function People() {
  const users = useQuery(usersQuery);
  const [adding, setAdding] = useState(false);
  const [leaving, setLeaving] = useState<User | null>(null);
  const [link, setLink] = useState("");
  const me = useSession()?.user;
  const act = useMutation({ mutationFn: (call: () => Promise<unknown>) => call(), onSettled: fresh });
  const path = (user: User) => ({ user: user.name });
  return (
    <section className="wide">
      <div className="row wrap">
        <h1>People</h1>
        <span className="grow" />
        <Button look="primary" icon="plus" onClick={() => setAdding(true)}>
          Add a person
        </Button>
      </div>
      {link ? (
        <Note
          kind="acc"
          icon="link"
          action={
            <Button small icon="copy" onClick={() => void navigator.clipboard.writeText(link)}>
              Copy
            </Button>
          }
        >
          <b>A link that logs in once:</b> <code>{link}</code>
        </Note>
      ) : null}
      {act.error ? <ProblemNote error={act.error} /> : null}
      {users.error ? <ProblemPage error={users.error} again={() => void users.refetch()} /> : null}
      {!users.data && !users.error ? <Skeleton rows={4} height={40} /> : null}
      {users.data ? (
        <table className="tbl people">
          <thead>
            <tr>
              <th>Person</th>
              <th>Role</th>
              <th>Groups</th>
              <th>E-mail</th>
              <th>
                <span className="vh">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {users.data.items.map((user) => (
              <tr key={user.name}>
                <td>
                  <span className="row">
                    <Avatar name={user.display_name || user.name} me={user.name === me} />
                    <b>{user.display_name || user.name}</b> <span className="m3">{user.name}</span>
                    {user.active ? null : <Tag>has left</Tag>}
                  </span>
                </td>
                <td>
                  <select
                    className="in narrow in-row"
                    aria-label={`Role of ${user.name}`}
                    value={user.role}
                    disabled={user.name === me}
                    onChange={(event) => {
                      const role = event.target.value as Role;
                      act.mutate(() =>
                        taken(
                          api.PATCH("/api/v1/users/{user}", {
                            params: { path: path(user) },
                            body: { role },
                          }),
                        ),
                      );
                    }}
                  >
                    {ROLES.map(([role]) => (
                      <option key={role}>{role}</option>
                    ))}
                  </select>
                </td>
                <td className="m2">{user.groups.join(", ")}</td>
                <td className="m2">{user.email}</td>
                <td className="num">
                  <Menu position="bottom-end">
                    <Menu.Target>
                      <Button look="ghost" small icon="more" aria-label={`More about ${user.name}`} />
                    </Menu.Target>
                    <Menu.Dropdown>
                      <Menu.Item
                        onClick={() =>
                          act.mutate(async () => {
                            const made = await taken(
                              api.POST("/api/v1/users/{user}/link", { params: { path: path(user) } }),
                            );
                            const view = made as { link?: string; secret?: string };
                            setLink(view.link ?? `${location.origin}/login#${view.secret ?? ""}`);
                          })
                        }
                      >
                        Make a log-in link
                      </Menu.Item>
                      <Menu.Item
                        onClick={() =>
                          act.mutate(() =>
                            taken(
                              api.DELETE("/api/v1/users/{user}/sessions", { params: { path: path(user) } }),
                            ),
                          )
                        }
                      >
                        End all sessions
                      </Menu.Item>
                      {user.active ? (
                        <Menu.Item disabled={user.name === me} onClick={() => setLeaving(user)}>
                          Has left…
                        </Menu.Item>
                      ) : (
                        <Menu.Item
                          onClick={() =>
                            act.mutate(() =>
                              taken(
                                api.POST("/api/v1/users/{user}/activate", { params: { path: path(user) } }),
                              ),
                            )
                          }
                        >
                          Is back
                        </Menu.Item>
                      )}
                    </Menu.Dropdown>
                  </Menu>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <Add opened={adding} onClose={() => setAdding(false)} />
      {leaving ? (
        <Leave user={leaving} users={users.data?.items ?? []} onClose={() => setLeaving(null)} />
      ) : null}
    </section>
  );
}

function Add({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const add = useMutation({
    mutationFn: (body: components["schemas"]["NewUser"]) => taken(api.POST("/api/v1/users", { body })),
    onSuccess: async () => {
      await fresh();
      onClose();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    add.mutate({
      name: text("name").toLowerCase(),
      display_name: text("display_name"),
      email: text("email"),
      role: text("role") as Role,
      password: text("password") || null,
    });
  };
  return (
    <Modal opened={opened} onClose={onClose} title="Add a person" centered>
      <form className="col gap" onSubmit={submit}>
        <label className="field">
          <span className="lbl">Name to log in with</span>
          <input className="in" name="name" required maxLength={40} autoCapitalize="none" data-autofocus />
        </label>
        <label className="field">
          <span className="lbl">Name that others see</span>
          <input className="in" name="display_name" maxLength={100} />
        </label>
        <label className="field">
          <span className="lbl">E-mail</span>
          <input className="in" name="email" type="email" />
        </label>
        <label className="field">
          <span className="lbl">Role</span>
          <select className="in" name="role" defaultValue="member">
            {ROLES.map(([role, words]) => (
              <option key={role} value={role}>
                {role}: {words}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span className="lbl">First password; empty: by a log-in link</span>
          <input className="in" name="password" type="password" autoComplete="new-password" />
        </label>
        {add.error ? <ProblemNote error={add.error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" busy={add.isPending}>
            Add
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Leave({ user, users, onClose }: { user: User; users: User[]; onClose: () => void }) {
  const leave = useMutation({
    mutationFn: (heir: string) =>
      taken(
        api.POST("/api/v1/users/{user}/deactivate", {
          params: { path: { user: user.name } },
          body: { heir },
        }),
      ),
    onSuccess: async () => {
      await fresh();
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title={`${user.display_name || user.name} has left`} centered>
      <form
        className="col gap"
        onSubmit={(event: FormEvent<HTMLFormElement>) => {
          event.preventDefault();
          leave.mutate(String(new FormData(event.currentTarget).get("heir")));
        }}
      >
        <p>Sessions and tokens end at once. Stages run on; questions pass to somebody else.</p>
        <label className="field">
          <span className="lbl">Who answers from now on</span>
          <select className="in" name="heir" required>
            {users
              .filter((u) => u.active && u.name !== user.name)
              .map((u) => (
                <option key={u.name} value={u.name}>
                  {u.display_name || u.name}
                </option>
              ))}
          </select>
        </label>
        {leave.error ? <ProblemNote error={leave.error} /> : null}
        <div className="row end">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="danger solid" type="submit" busy={leave.isPending}>
            End access of {user.name}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

export function Groups() {
  const groups = useQuery(groupsQuery);
  const users = useQuery(usersQuery);
  const act = useMutation({ mutationFn: (call: () => Promise<unknown>) => call(), onSettled: fresh });
  const add = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name")).trim().toLowerCase();
    event.currentTarget.reset();
    act.mutate(() => taken(api.POST("/api/v1/groups", { body: { name, title: "", owners: [] } })));
  };
  return (
    <section className="wide">
      <h1>Groups</h1>
      <p className="m2">A project, a pipeline or a folder of the inputs can be shared with a group: @name.</p>
      <form className="row wrap" onSubmit={add}>
        <input
          className="in narrow"
          name="name"
          required
          maxLength={40}
          placeholder="name"
          aria-label="Name of the new group"
        />
        <Button type="submit" icon="plus" busy={act.isPending}>
          Add a group
        </Button>
      </form>
      {act.error ? <ProblemNote error={act.error} /> : null}
      {groups.error ? <ProblemPage error={groups.error} again={() => void groups.refetch()} /> : null}
      {groups.data?.items.length === 0 ? <Empty icon="user" title="No groups yet" /> : null}
      {groups.data?.items.length ? (
        <table className="tbl">
          <tbody>
            {groups.data.items.map((group) => (
              <tr key={group.name}>
                <td>
                  <b>@{group.name}</b>
                </td>
                <td>
                  <span className="row wrap">
                    {group.members.map((m) => (
                      <Tag key={m.user}>
                        {m.user}{" "}
                        <button
                          type="button"
                          className="tag-x"
                          aria-label={`Take ${m.user} out of ${group.name}`}
                          onClick={() =>
                            act.mutate(() =>
                              taken(
                                api.DELETE("/api/v1/groups/{group}/members/{user}", {
                                  params: { path: { group: group.name, user: m.user } },
                                }),
                              ),
                            )
                          }
                        >
                          ×
                        </button>
                      </Tag>
                    ))}
                    <select
                      className="in narrow"
                      aria-label={`Add somebody to ${group.name}`}
                      value=""
                      onChange={(event) =>
                        act.mutate(() =>
                          taken(
                            api.PUT("/api/v1/groups/{group}/members/{user}", {
                              params: { path: { group: group.name, user: event.target.value } },
                              body: { role: "member" },
                            }),
                          ),
                        )
                      }
                    >
                      <option value="">add…</option>
                      {(users.data?.items ?? [])
                        .filter((u) => u.active && !group.members.some((m) => m.user === u.name))
                        .map((u) => (
                          <option key={u.name}>{u.name}</option>
                        ))}
                    </select>
                  </span>
                </td>
                <td className="num">
                  <Button
                    small
                    look="danger"
                    onClick={() =>
                      act.mutate(() =>
                        taken(
                          api.DELETE("/api/v1/groups/{group}", { params: { path: { group: group.name } } }),
                        ),
                      )
                    }
                  >
                    Delete
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </section>
  );
}
