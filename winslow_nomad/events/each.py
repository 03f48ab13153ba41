"""One project after the other, so that one that cannot be read or handled keeps no other waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from winslow_nomad.core.about import about
from winslow_nomad.core.errors import Unavailable, WinslowError

log = logging.getLogger(__name__)
OF_ONE_PROJECT = ("store.unreadable", "store.newer")


def each(what: str, projects: Iterable[str], act: Callable[[str], object]) -> None:
    """Raises Unavailable where that is true for all of them; what is wrong with one is logged."""
    for project in projects:
        with about(project=project):
            try:
                act(project)
            except Unavailable as error:
                if error.code not in OF_ONE_PROJECT:
                    raise
                log.warning("%s of %s: %s", what, project, error)
            except WinslowError as error:  # says all there is to say
                log.warning("%s of %s: %s", what, project, error)
            except Exception:
                log.exception("%s of %s failed; it is tried again", what, project)
