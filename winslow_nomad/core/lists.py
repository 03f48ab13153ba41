"""What can be asked of the list of projects, and who is to see which."""

from __future__ import annotations

from typing import Literal, Protocol

from winslow_nomad.core.model import Value
from winslow_nomad.core.rows import Summary

TRASH = "trashed"  # asked for like a state; no other question answers what is in the trash
Sort = Literal["updated", "created", "name", "priority"]


class Query(Value):
    """who: names under which a project may have the one who asks (author, participant, `@group`); None: all are
    to be seen. Of `states`, `authors`, `pipelines` and `participants` any may hold, of `tags` all must; what begins
    with `not_` must not. `text` is looked for in name and id, whatever its case. A name of a pipeline may end in `*`.
    after: the `next` of the page before. cap: how many projects are looked at before a page comes back short."""

    who: frozenset[str] | None = None
    states: tuple[str, ...] = ()
    not_states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    not_authors: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    not_pipelines: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    text: str = ""
    asking: bool = False  # only those that wait for a person; always newest question first
    sort: Sort = "updated"
    descending: bool = True
    after: str = ""
    limit: int = 100
    cap: int | None = None


class Page(Value):
    """`next`: give it as `after` for what follows; empty: there is no more. A page may be shorter than asked for
    and have a `next` all the same."""

    rows: tuple[Summary, ...]
    next: str = ""


class Counts(Value):
    """How many projects there are to see, by state (those in the trash under `trashed`); `mine`: of these, those whose
    author asks."""

    states: dict[str, int] = {}
    mine: int = 0
    total: int = 0


class Listing(Protocol):
    """The lists of projects, in the store. Raises StoreUnavailable."""

    def find(self, query: Query) -> Page:
        """Raises Invalid (list.cursor) for an `after` that was never a `next`."""
        ...

    def text(self, query: Query) -> tuple[bytes, str]:
        """As `find`, for who passes them on: a JSON array of Summaries without their defaults, and `next`."""
        ...

    def place(self, project: str) -> str:
        """Where a project stands in the list by last change, to give as `after`; empty: there is none."""
        ...

    def counts(self, who: frozenset[str] | None, author: str = "") -> Counts: ...

    def used_pipelines(self, who: frozenset[str] | None) -> dict[str, int]:
        """Names of the pipelines that projects have, and how many of those to be seen have each."""
        ...

    def used_tags(self, who: frozenset[str] | None) -> dict[str, int]: ...
