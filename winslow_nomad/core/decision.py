"""What `decide` answers."""

from __future__ import annotations

from dataclasses import dataclass

from winslow_nomad.core.effects import Effect
from winslow_nomad.core.messages import Entry
from winslow_nomad.core.project import Project


@dataclass(frozen=True, slots=True)
class Decision:
    """The project after the message, what happened (facts for journal, live stream and statistics), and
    everything that is outstanding now. `changed` False: the message changed nothing."""

    project: Project
    facts: tuple[Entry, ...]
    effects: tuple[Effect, ...]
    changed: bool
