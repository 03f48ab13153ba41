"""core.filing.Uploads on the share: whose they are, where they go, and one writing process for each connection."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from winslow_nomad.core.access import Principal
from winslow_nomad.core.errors import Invalid, NotFound, Refused
from winslow_nomad.core.filing import Area, Conflict, Upload, to_text
from winslow_nomad.core.ports import Clock
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.porter import FINISH, WRITE, Porter
from winslow_nomad.resources.share_files import ShareFiles, Target, taken
from winslow_nomad.resources.space import KEPT_FREE
from winslow_nomad.resources.uploads import KEPT, changed, checked_id, not_there


class ShareUploads:
    """`largest`: bytes that one file may have. `quota`: bytes that one person's unfinished uploads may have in all;
    0: as much as there is room for."""

    def __init__(self, files: ShareFiles, clock: Clock, *, largest: int, quota: int) -> None:
        self.largest = largest
        self._files = files
        self._porters = files.porters
        self._clock = clock
        self._quota = quota

    def begin(
        self, area: Area, path: str, length: int, *, conflict: Conflict = "refuse", sha256: str = "", metadata: str = ""
    ) -> Upload:
        target = self._files.new(area, path)
        record = {**self._record(area, target, length), "conflict": conflict, "sha256": sha256, "metadata": metadata}
        self._look_at_target(area, target, record, conflict)
        self._porters.ask("begin", record=record, kept_free=KEPT_FREE, quota=self._quota)
        return upload({**record, "offset": 0, "modified": self._clock.now().timestamp()})

    def _record(self, area: Area, target: Target, length: int) -> dict[str, Any]:
        return {
            "format": 1,
            "id": uuid.uuid4().hex,
            "owner": area.who.user,
            "space": str(area.space),
            "path": target.path,
            "target": list(target.parts),
            "unless": target.unless,
            "length": length,
            "made": self._clock.now().isoformat(),
        }

    def _look_at_target(self, area: Area, target: Target, record: dict[str, Any], conflict: Conflict) -> None:
        if conflict == "replace":
            record["aside"] = self._files.aside(area, target.parts, "it was replaced by an upload")
        if conflict == "keep_both":
            return
        try:
            there = self._files.entry(area, target.path)
        except NotFound:
            return
        if conflict == "refuse" or there.kind == "folder":
            raise taken(target.path)

    def under_way(self) -> Sequence[Upload]:
        return [upload(record) for record in self._porters.ask("under_way")]

    def look(self, who: Principal, identifier: str) -> Upload:
        return upload(self._mine(who, identifier))

    def _mine(self, who: Principal, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self._porters.ask("look", id=checked_id(identifier), finish=False)
        if found["owner"] != who.user:
            raise not_there()
        if found["offset"] == found["length"] and not found.get("done") and not found["busy"]:
            found = self._porters.ask("look", FINISH, id=identifier, finish=True)  # who was to do it was killed
        return found

    def write(self, area: Area, identifier: str, offset: int, *, verified: bool = False) -> ShareWriting:
        """`area`: that of the upload, as its owner may use it now."""
        porter = self._porters.take(long=True)
        writing = ShareWriting(self, porter)
        try:
            record = porter.ask("open", id=checked_id(identifier), offset=offset, verified=verified)
            writing.offset, writing.length = offset, record["length"]
            if record["owner"] != area.who.user or record["space"] != str(area.space):
                raise not_there()
            if self._files.new(area, record["path"]).parts != tuple(record["target"]):
                raise Refused(
                    f"{shown(record['path'])} leads elsewhere since the upload was begun; nothing was written.",
                    hint="Cancel it and begin anew.",
                    code="path.changed",
                )
        except BaseException:
            writing.close()
            raise
        return writing

    def write_small(self, area: Area, path: str, length: int, *, replace: str = "") -> ShareWriting:
        target = self._files.new(area, path)
        record = {**self._record(area, target, length), "exact": True}
        if replace:
            record["aside"] = self._files.aside(area, target.parts, "it was replaced by another file")
            record["tag"] = replace
        self._check_small(area, target, replace)
        porter = self._porters.take(long=True)
        writing = ShareWriting(self, porter)
        try:
            porter.ask("open_small", record=record, kept_free=KEPT_FREE)
            writing.length = length
        except BaseException:
            writing.close()
            raise
        return writing

    def _check_small(self, area: Area, target: Target, replace: str) -> None:
        """Once more when it is published; here so that nobody sends eight megabytes for nothing."""
        try:
            there = self._files.entry(area, target.path)
        except NotFound:
            if replace:
                raise changed(target.path) from None
            return
        if not replace:
            raise taken(target.path)
        if there.kind != "file":
            raise Invalid(f"{shown(target.path)} is not a file; it was not touched.", code="path.not_a_file")
        if there.tag != replace:
            raise changed(target.path)

    def drop(self, who: Principal, identifier: str) -> None:
        self._mine(who, identifier)
        self._porters.ask("drop", id=identifier)

    def give_back(self, porter: Porter) -> None:
        self._porters.give_back(porter, long=True)


class ShareWriting:
    """Implements core.filing.Writing; one call at a time."""

    def __init__(self, uploads: ShareUploads, porter: Porter) -> None:
        self._uploads = uploads
        self._porter = porter
        self._open = True
        self.offset = 0
        self.length = 0
        self.buffers = porter.buffers

    def write(self, buffer: int, count: int) -> int:
        self.offset = self._porter.ask("write", WRITE, buffer=buffer, count=count)
        return self.offset

    def read(self, connection: int, count: int) -> bool:
        answer = self._porter.ask("take", WRITE, connection=connection, count=count)
        self.offset = answer["offset"]
        return bool(answer["whole"])

    def stop(self) -> None:
        self._porter.tell("stop")

    def verify(self, sha256: str) -> bool:
        good: bool = self._porter.ask("verify", sha256=sha256)
        return good

    def finish(self) -> str:
        record = self._porter.ask("finish", FINISH)
        return upload(record).path

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            if self._porter.fit:
                self._porter.ask("close", WRITE)
        finally:
            self._uploads.give_back(self._porter)


def upload(record: dict[str, Any]) -> Upload:
    """As people see it."""
    done: list[str] | None = record.get("done")
    space = str(record["space"])
    above = 1 if space == "inputs" else 2
    modified = datetime.fromtimestamp(record.get("modified", 0.0), UTC)
    return Upload(
        id=record["id"],
        owner=record["owner"],
        space=space,
        path=to_text("/".join(done[above:])) if done else record["path"],
        length=record["length"],
        conflict=record.get("conflict", "refuse"),
        sha256=record.get("sha256", ""),
        metadata=record.get("metadata", ""),
        made=datetime.fromisoformat(record["made"]),
        offset=record.get("offset", record["length"]),
        changed=modified,
        expires=modified + timedelta(seconds=KEPT),
        done=bool(done),
    )
