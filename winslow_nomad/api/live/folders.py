"""What a folder that somebody looks at is like, in a few letters that change when what its list shows does: whoever
changed it, a person here, another server, a stage on a node, or somebody on the share itself. Not told: what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b

from winslow_nomad.api.services import Services
from winslow_nomad.core.access import Principal, Role
from winslow_nomad.core.errors import Invalid, NotFound
from winslow_nomad.core.filing import Area, Space

FEW = 200  # entries; of a folder with more only its own time is looked at, which names change and sizes do not
ANYBODY = Principal(user="", role=Role.MAINTAINER)  # for all who follow it: they are told no more than that it changed
HERE = ""  # the one thing there is to tell of


class FolderLook:
    """For live.feeds.ItemsFeed. Answers nothing where the folder is gone. May take as long as the share does."""

    def __init__(self, given: Services, space: Space, path: str) -> None:
        self._given = given
        self._space = space
        self._path = path
        self._large: tuple[datetime, bool] | None = None
        self._mark = ""

    def __call__(self) -> Mapping[str, str]:
        try:
            project = self._given.client.project(self._space.project) if self._space.project else None
            area = Area(who=ANYBODY, project=project)
            folder = self._given.files.entry(area, self._path)
            own = (folder.modified, folder.writable)
            if own != self._large:
                page = self._given.files.page(area, self._path, limit=FEW)
                seen = [(e.name, e.kind, e.bytes, e.modified, e.tag, e.writable, e.groups) for e in page.entries]
                self._mark = blake2b(repr((own, seen)).encode(errors="surrogatepass"), digest_size=16).hexdigest()
                self._large = own if page.next else None
        except (NotFound, Invalid):  # gone, or something else has its name
            self._large = None
            return {}
        return {HERE: self._mark}
