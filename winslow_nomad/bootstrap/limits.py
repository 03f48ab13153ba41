"""What each person may have in use at the same time, by the setting `limits` and the groups as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from winslow_nomad.core.allowance import FREE, Allowance, of_person, parse
from winslow_nomad.store.people import RedisPeople

if TYPE_CHECKING:
    from winslow_nomad.bootstrap.installation import Installation


class Limits:
    """events.admission.Limits."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._people = RedisPeople(installation.state, installation.clock, installation.keys)
        self._parsed: tuple[str, dict[str, Allowance]] = ("", {})

    def __call__(self, actors: Iterable[str]) -> Mapping[str, Allowance]:
        text = self._installation.choices.now().limits
        if not text:
            return {}
        if self._parsed[0] != text:
            self._parsed = (text, parse(text))
        limits = self._parsed[1]
        groups = self._people.groups()
        found = {a: of_person(limits, a, [g.name for g in groups if a in g.members]) for a in actors}
        return {actor: allowance for actor, allowance in found.items() if allowance != FREE}
