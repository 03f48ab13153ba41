"""What an installation answers where nobody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from winslow_nomad.core.ports import AttemptRef


class Defaults(Protocol):
    """As it is now: settings may change while everything runs."""

    @property
    def driver(self) -> str:
        """What new projects run on."""
        ...

    @property
    def nomad_ui(self) -> str:
        """Where Nomad's own pages are; empty: Nomad is not used here."""
        ...

    def nomad_job(self, attempt: AttemptRef) -> str:
        """The page of the job that an attempt is; empty: Nomad is not used here."""
        ...

    @property
    def zone(self) -> str:
        """In which people read times."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of every stage, unless something nearer sets them."""
        ...

    @property
    def open_projects(self) -> bool:
        """Whether everybody here is a member of a new project, unless its author says otherwise."""
        ...
