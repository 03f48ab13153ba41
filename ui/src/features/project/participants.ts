/** Names of those who take part in a project, and what may be added. Pure. */
import type { components } from "@/api/schema";

type Member = components["schemas"]["Member"];

export const EVERYBODY = "@everyone";
export const ROLES: [Member["role"], string][] = [
  ["viewer", "looks"],
  ["member", "runs and answers"],
  ["maintainer", "changes its pipeline as well"],
  ["owner", "all, who takes part too"],
];

export function nameOf(user: string): string {
  if (user === EVERYBODY) return "Everybody here";
  return user.startsWith("@") ? `the group ${user.slice(1)}` : user;
}

/** `wrong`: why it cannot be added; empty: it can. `known`: who there is; empty as long as that is not known. */
export function added(
  members: readonly Member[],
  typed: string,
  role: Member["role"],
  author: string,
  known: readonly string[],
): { members: readonly Member[]; wrong: string } {
  const user = typed.trim().toLowerCase();
  const stay = (wrong: string) => ({ members, wrong });
  if (!user) return stay("");
  if (user === author) return stay(`${user} is the author, and owns it already.`);
  if (members.some((member) => member.user === user)) return stay(`${nameOf(user)} takes part already.`);
  if (known.length > 1 && !known.includes(user))
    return stay(
      user.startsWith("@") ? `There is no group ${user.slice(1)}.` : `There is nobody called ${user}.`,
    );
  return { members: [...members, { user, role }], wrong: "" };
}
