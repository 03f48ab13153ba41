"""Who may do what: pure rules over a principal, a project's members, and a table of actions.

The table is the only place that says which role an action needs. Everything that is not in it is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, NamedTuple

from winslow_nomad.core.model import Value
from winslow_nomad.core.project import Member

Scope = Literal["read", "run", "files", "manage", "trigger"]
ANY: Literal["any"] = "any"  # of a rule: whatever scopes a token has
EVERYONE = "everyone"  # the group that all active people are in


class Role(StrEnum):
    """What a person is in the whole installation; each includes those before it."""

    VIEWER = "viewer"
    MEMBER = "member"
    MAINTAINER = "maintainer"  # looks after what is shared: every project, pipelines, files, nodes
    ADMIN = "admin"  # people, settings, audit as well


RANKS = {role: rank for rank, role in enumerate(Role)}
MEMBER_RANKS: dict[str, int] = {"viewer": 0, "member": 1, "maintainer": 2, "owner": 3}


class Principal(Value):
    """Who asks. `scopes` None: a person's own session, which may do all that the role allows. `project`: the
    only one that a trigger token is for. `token`: its name, for the audit."""

    user: str
    role: Role
    groups: frozenset[str] = frozenset()
    scopes: frozenset[Scope] | None = None
    project: str = ""
    token: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Under which names a list of members may have this person: the own one, and `@group`."""
        return frozenset({self.user, f"@{EVERYONE}", *(f"@{g}" for g in self.groups)})

    @property
    def sees_all(self) -> bool:
        return RANKS[self.role] >= RANKS[Role.MAINTAINER]


class Action(StrEnum):
    """What a route asks for."""

    WHO_AM_I = "who_am_i"
    OWN_ACCOUNT = "own_account"
    LIST_PROJECTS = "list_projects"
    CREATE_PROJECT = "create_project"
    VIEW_PROJECT = "view_project"
    COMMENT_PROJECT = "comment_project"
    RUN_PROJECT = "run_project"
    RUN_MANY = "run_many"
    MANAGE_PROJECT = "manage_project"
    TRIGGER_PROJECT = "trigger_project"
    VIEW_PIPELINES = "view_pipelines"
    EDIT_PIPELINES = "edit_pipelines"
    READ_FILES = "read_files"
    WRITE_FILES = "write_files"
    VIEW_NODES = "view_nodes"
    MANAGE_NODES = "manage_nodes"
    VIEW_STATISTICS = "view_statistics"
    VIEW_PEOPLE = "view_people"
    LEAD_GROUP = "lead_group"
    MANAGE_PEOPLE = "manage_people"
    VIEW_SETTINGS = "view_settings"
    MANAGE_SETTINGS = "manage_settings"
    VIEW_AUDIT = "view_audit"


class Rule(NamedTuple):
    """`scope`: what a token must have (ANY: whichever; None: no token may, only a session). `role`: at least, in
    the installation. `member`: at least, in the project; None: the action is not about one project."""

    scope: Scope | Literal["any"] | None
    role: Role
    member: Literal["viewer", "member", "maintainer", "owner"] | None = None


RULES: dict[Action, Rule] = {
    Action.WHO_AM_I: Rule(ANY, Role.VIEWER),
    Action.OWN_ACCOUNT: Rule(None, Role.VIEWER),
    Action.LIST_PROJECTS: Rule("read", Role.VIEWER),
    Action.CREATE_PROJECT: Rule("run", Role.MEMBER),
    Action.VIEW_PROJECT: Rule("read", Role.VIEWER, "viewer"),
    Action.COMMENT_PROJECT: Rule("run", Role.VIEWER, "viewer"),
    Action.RUN_PROJECT: Rule("run", Role.MEMBER, "member"),
    Action.RUN_MANY: Rule("run", Role.VIEWER),  # and what each of the projects asks for
    Action.MANAGE_PROJECT: Rule("manage", Role.MEMBER, "maintainer"),
    Action.TRIGGER_PROJECT: Rule("trigger", Role.MEMBER, "member"),
    Action.VIEW_PIPELINES: Rule("read", Role.VIEWER),
    Action.EDIT_PIPELINES: Rule("manage", Role.MEMBER),
    Action.READ_FILES: Rule("read", Role.VIEWER),
    Action.WRITE_FILES: Rule("files", Role.MEMBER),
    Action.VIEW_NODES: Rule("read", Role.VIEWER),
    Action.MANAGE_NODES: Rule("manage", Role.MAINTAINER),
    Action.VIEW_STATISTICS: Rule("read", Role.VIEWER),
    Action.VIEW_PEOPLE: Rule("read", Role.VIEWER),
    Action.LEAD_GROUP: Rule("manage", Role.MEMBER),  # and `leads`
    Action.MANAGE_PEOPLE: Rule("manage", Role.ADMIN),
    Action.VIEW_SETTINGS: Rule("read", Role.VIEWER),
    Action.MANAGE_SETTINGS: Rule("manage", Role.ADMIN),
    Action.VIEW_AUDIT: Rule("manage", Role.ADMIN),
}


def rank_in(principal: Principal, author: str, participants: Iterable[Member]) -> int:
    """The highest rank the principal has in a project; -1: it is not to be seen at all."""
    return rank_among(principal, principal.names, author, ((m.user, m.role) for m in participants))


def rank_among(principal: Principal, names: frozenset[str], author: str, roles: Iterable[tuple[str, str]]) -> int:
    """As `rank_in`, for many projects: `names` are the principal's, `roles` user and role of each participant."""
    if principal.role is Role.ADMIN or (author and principal.user == author):
        return MEMBER_RANKS["owner"]
    ranks = [MEMBER_RANKS[role] for user, role in roles if user in names]
    if principal.sees_all:
        ranks.append(MEMBER_RANKS["maintainer"])
    return max(ranks, default=-1)


def allowed(
    principal: Principal, action: Action, *, author: str = "", participants: Iterable[Member] = (), project: str = ""
) -> bool:
    """May it be done? For an action about a project its author, participants and id are needed."""
    rule = RULES[action]
    if principal.scopes is not None and rule.scope != ANY and rule.scope not in principal.scopes:
        return False
    if RANKS[principal.role] < RANKS[rule.role]:
        return False
    if principal.project and principal.project != project:
        return False
    return rule.member is None or rank_in(principal, author, participants) >= MEMBER_RANKS[rule.member]


def leads(principal: Principal, members: Mapping[str, str]) -> bool:
    """Whether the principal may say who is in a group: its owners may, and administrators."""
    return principal.role is Role.ADMIN or members.get(principal.user) == "owner"


def visible(principal: Principal, author: str, participants: Iterable[Member], project: str = "") -> bool:
    """Whether the principal may know that the project exists."""
    if principal.project and principal.project != project:
        return False
    return rank_in(principal, author, participants) >= 0
