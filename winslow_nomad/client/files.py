"""Files on a server: looking, fetching, bringing, deleting. What was cut off goes on where it was; what is there
already is not sent again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx

from winslow_nomad.client.memory import Fingerprint, Memory, Sent, leads_to, state_directory
from winslow_nomad.client.uploads import PATIENCE, PAUSE, Sending
from winslow_nomad.client.wire import Wire
from winslow_nomad.core.client import Report, unreported
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from winslow_nomad.core.filing import Conflict as OnConflict
from winslow_nomad.core.filing import Entry, aside_name, from_text, to_text

PAGE = 1000
SMALL = 4 * 1024 * 1024  # bytes up to which a file goes in one request
BLOCK = 1024 * 1024
INPUTS = "inputs"
CANDIDATES = 1000  # names tried for one file
ARRIVING = ".arriving-"


class HttpFiles:
    """core.client.FileClient."""

    def __init__(self, wire: Wire, memory: Memory | None = None) -> None:
        self._wire = wire
        self._memory = memory or Memory(state_directory())
        self.report: Report = unreported

    def _patient(self) -> HttpFiles:
        """For work that may take hours: once the server is there, it is waited for when it goes away."""
        self._wire.get("about")
        files = HttpFiles(self._wire.with_patience(PATIENCE), self._memory)
        files.report = self.report
        return files

    # --- looking

    def entries(self, space: str, path: str = "") -> Iterator[Entry]:
        after = ""
        while True:
            params = {"path": path, "limit": PAGE, "after": after}
            page = self._wire.read(dict[str, Any], f"{_space(space)}/list", params)
            yield from (Entry.model_validate(item) for item in page["items"])
            after = page["next"]
            if not after:
                return

    def entry(self, space: str, path: str) -> Entry:
        return self._wire.read(Entry, f"{_space(space)}/info", {"path": path})

    def sha256(self, space: str, path: str) -> tuple[str, str]:
        """The sum of a file, and the tag that it had."""
        last: dict[str, Any] = {}
        with self._wire.stream("GET", f"{_space(space)}/sum", params={"path": path}) as answer:
            for line in answer.iter_lines():
                last = json.loads(line)
                self.report(f"comparing {PurePath(path).name}", int(last["bytes"]), 0)
        if "sha256" not in last:
            raise Unavailable(f"The server did not get to the end of {path}.", hint="Try again.", code="server.away")
        return str(last["sha256"]), str(last["tag"])

    # --- changing

    def make_folder(self, space: str, path: str) -> Entry:
        answer = self._wire.ask("POST", f"{_space(space)}/folders", json={"path": path})
        found: Entry = self._wire.value(Entry, answer)
        return found

    def remove(self, space: str, path: str) -> str:
        """To the trash; answers the entry there."""
        answer = self._wire.ask("DELETE", f"{_space(space)}/content", params={"path": path})
        return str(self._wire.value(dict[str, Any], answer)["trash"])

    def rename(self, space: str, path: str, to: str) -> Entry:
        answer = self._wire.ask("POST", f"{_space(space)}/rename", json={"from": path, "to": to})
        found: Entry = self._wire.value(Entry, answer)
        return found

    # --- bringing

    def put(self, source: Path, space: str, path: str, *, conflict: OnConflict = "refuse") -> str:
        """A file, or a folder with all that is in it, as `path`; answers where it is. The same content that is there
        already is left. Raises Refused (path.taken) for another one, unless `conflict` says what to do."""
        files = self._patient()
        if not source.is_dir():
            return files._put_file(source, space, path, conflict)
        files._put_folder(source, space, path, conflict)
        return path

    def _put_file(self, source: Path, space: str, path: str, conflict: OnConflict) -> str:
        checked_name(source)
        with self._memory.alone(self._wire.url, space, path, str(source.absolute())) as known:
            there = self._there(space, path)
            if there is not None and self._same(source, space, there, known.read()):
                known.write(Sent(fingerprint=Fingerprint.of(source), tag=there.tag))
                return path
            if there is not None and conflict == "refuse":
                raise taken(path)
            fingerprint = Fingerprint.of(source)
            if fingerprint.bytes <= SMALL and conflict == "refuse":
                done = self._in_one(source, space, path)
            else:
                done = Sending(self._wire, known, source, self.report).send(space, path, conflict)
            landed = self._there(space, done)
            known.write(Sent(fingerprint=fingerprint, tag=landed.tag if landed is not None else ""))
            return done

    def _in_one(self, source: Path, space: str, path: str) -> str:
        """Whole or not at all. Sent again after a cut, it may meet itself."""
        data = source.read_bytes()
        self.report(source.name, 0, len(data))
        headers = {"if-none-match": "*", "content-type": "application/octet-stream"}
        first = 0.0  # when it did not get through for the first time
        while True:
            try:
                self._wire.ask("PUT", f"{_space(space)}/content", params={"path": path}, headers=headers, content=data)
            except Unavailable as error:
                first = first or time.monotonic()
                self._until_it_is_back(error, first)
                continue
            except Refused as error:
                if not first or error.code != "path.taken":
                    raise
                if self.sha256(space, path)[0] != hashlib.sha256(data).hexdigest():
                    raise
            self.report(source.name, len(data), len(data))
            return path

    def _until_it_is_back(self, error: Unavailable, since: float) -> None:
        """Raises the error when it has been so for too long. A server that answers may still lack what was asked for,
        such as its share: it gets a pause."""
        if time.monotonic() - since > self._wire.patience:
            raise error
        time.sleep(PAUSE)
        self._wire.get("about")

    def _put_folder(self, source: Path, space: str, path: str, conflict: OnConflict) -> None:
        for folder, file in walk(source):
            below = str((file or folder).relative_to(source))
            target = f"{path}/{below}" if below != "." else path
            if file is not None:
                self._put_file(file, space, target, conflict)
            elif self._there(space, target) is None:
                self.make_folder(space, target)

    def bring(self, source: Path) -> str:
        """Into the input pool under its name, or the next one that is free: a name there never changes its content."""
        checked_name(source)
        files = self._patient()
        if source.is_dir():
            return files._bring_folder(source)
        for name in free_names(source.name):
            try:
                return files._put_file(source, INPUTS, name, "refuse")
            except (Refused, Invalid) as error:
                if error.code not in ("path.taken", "path.not_a_file"):
                    raise
        raise taken(source.name)

    def _bring_folder(self, source: Path) -> str:
        """It appears as a whole: until then it has a name of its own, under which a later call goes on."""
        mine = {str(f.relative_to(source)): f for _, f in walk(source) if f is not None}
        for name in free_names(source.name):
            there = self._there(INPUTS, name)
            if there is None:
                break
            if there.kind == "folder" and self._same_folder(mine, name):
                return name
        marks = hashlib.sha256(f"{os.uname().nodename}\0{os.getuid()}\0{source.absolute()}".encode("utf-8", "replace"))
        arriving = f"{source.name}{ARRIVING}{marks.hexdigest()[:8]}"
        self._put_folder(source, INPUTS, arriving, "refuse")
        for name in free_names(source.name):
            try:
                return self.rename(INPUTS, arriving, name).path
            except Refused as error:
                if error.code != "path.taken":
                    raise
        raise taken(source.name)

    def _same_folder(self, mine: dict[str, Path], path: str) -> bool:
        there = {e.path.removeprefix(f"{path}/"): e for e in self._below(path) if e.kind == "file"}
        if {n: f.stat().st_size for n, f in mine.items()} != {n: e.bytes for n, e in there.items()}:
            return False
        return all(self._same(file, INPUTS, there[name], None) for name, file in mine.items())

    def _below(self, path: str) -> Iterator[Entry]:
        for entry in self.entries(INPUTS, path):
            yield entry
            if entry.kind == "folder":
                yield from self._below(entry.path)

    def _there(self, space: str, path: str) -> Entry | None:
        try:
            return self.entry(space, path)
        except NotFound:
            return None

    def _same(self, source: Path, space: str, there: Entry, sent: Sent | None) -> bool:
        """Whether what is there is this file: by what is remembered, else by their sums."""
        fingerprint = Fingerprint.of(source)
        if there.kind != "file" or there.bytes != fingerprint.bytes:
            return False
        if sent is not None and sent.tag and sent.tag == there.tag and sent.fingerprint == fingerprint:
            return True
        return self.sha256(space, there.path)[0] == self._sum(source)

    def _sum(self, source: Path) -> str:
        digest, done = hashlib.sha256(), 0
        with source.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                self.report(f"comparing {source.name}", done, source.stat().st_size)
        return digest.hexdigest()

    # --- fetching

    def get(self, space: str, path: str, target: Path) -> Path:
        """A file as `target`, or a folder with all that is in it. Raises Refused (path.taken) where something else is
        there; what is complete already is left, and what was cut off goes on."""
        files = self._patient()
        entry = files.entry(space, path) if path else None
        if entry is not None and entry.kind == "file":
            files._get_file(space, entry, target)
        else:
            files._get_folder(space, path, target)
        return target

    def _get_folder(self, space: str, path: str, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for entry in self.entries(space, path):
            below = target / local_name(entry.name)
            if entry.kind == "folder":
                self._get_folder(space, entry.path, below)
            elif entry.kind == "file":
                self._get_file(space, entry, below)

    def _get_file(self, space: str, entry: Entry, target: Path) -> None:
        modified = entry.modified.timestamp()
        partial = target.with_name(aside_name(target.name, hashlib.sha256(entry.tag.encode()).hexdigest()[:8]))
        while not _there_already(target, entry.bytes, modified):
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # whoever else fetches it here is waited for
                if not leads_to(partial, file.fileno()):
                    continue  # and has put it into its place
                self._fetch_rest(space, entry, file)
                os.fsync(file.fileno())
                os.utime(partial, (modified, modified))
                partial.rename(target)

    def _fetch_rest(self, space: str, entry: Entry, file: BinaryIO) -> None:
        """What of it is not there yet. Raises Unavailable when nothing of it comes for too long."""
        if file.tell() > entry.bytes:
            file.truncate(0)  # nobody knows what this is
            file.seek(0, os.SEEK_END)
        since = time.monotonic()
        while (began := file.tell()) < entry.bytes:
            try:
                self._fetch(space, entry, file)
            except Unavailable as error:
                if file.tell() == began:
                    self._until_it_is_back(error, since)
            if file.tell() > began:
                since = time.monotonic()
        file.flush()

    def _fetch(self, space: str, entry: Entry, file: BinaryIO) -> None:
        done = file.tell()
        headers = {"range": f"bytes={done}-", "if-range": f'"{entry.tag}"'}
        params = {"path": entry.path}
        with self._wire.stream("GET", f"{_space(space)}/content", params=params, headers=headers) as answer:
            if answer.status_code != httpx.codes.PARTIAL_CONTENT or answer.headers.get("etag") != f'"{entry.tag}"':
                raise Conflict(
                    f"{entry.path} changed while it was fetched; what had come of it is left aside.",
                    hint="Fetch it again.",
                    code="path.version",
                )
            for block in answer.iter_bytes(BLOCK):
                file.write(block)
                done += len(block)
                self.report(entry.name, done, entry.bytes)


def _there_already(target: Path, size: int, modified: float) -> bool:
    """Raises Refused (path.taken) where something else is."""
    if not target.exists():
        return False
    found = target.stat()
    if target.is_file() and found.st_size == size and abs(found.st_mtime - modified) < 1.0:
        return True
    raise Refused(
        f"{target} is there already and is something else; it was not touched.",
        hint="Name another target, or move it away.",
        code="path.taken",
    )


def _space(space: str) -> str:
    return f"files/{quote(space, safe=':')}"


def walk(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """(folder, None) and (folder, file) for all that is below, in order. Raises Invalid for what is neither, or has a
    name that a value cannot hold."""
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        here = Path(place)
        folders.sort()
        yield here, None
        for name in sorted(names + [n for n in folders if (here / n).is_symlink()]):
            path = here / name
            checked_name(path)
            if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
                raise Invalid(
                    f"{path} is no file of that folder (a link out of it, a device, a pipe). Nothing was brought.",
                    hint="Take it away, or put what it names in its place.",
                    code="import.not_a_file",
                )
            yield here, path


def _unreadable(error: OSError) -> None:
    raise error


def checked_name(path: Path) -> None:
    """Raises Invalid for a name with a line break, other controls, or bytes that are no text."""
    name = path.name
    if to_text(name) != name or any(not c.isprintable() for c in name) or name != name.strip():
        raise Invalid(
            f"The name {name.encode('utf-8', 'backslashreplace').decode()!r} has signs that nobody could see or type. "
            "Nothing was brought.",
            hint="Give it another name.",
            code="name.invalid",
        )


def local_name(told: str) -> str:
    """As it is on the server's disk. It never leads out of the folder that it is fetched into."""
    name = from_text(told)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Invalid(f"{name!r} is no name of a file; it was not fetched.", code="name.invalid")
    return name


def free_names(name: str) -> Iterator[str]:
    """`clip.mp4`, then `clip-2.mp4` and so on, each within 255 bytes."""
    yield name
    stem, dot, ending = name.rpartition(".")
    if not stem.strip(".") or len(ending) > 12:
        stem, dot, ending = name, "", ""
    match = re.fullmatch(r"(.*)-(\d{1,6})", stem, re.DOTALL)
    base, first = (match[1], int(match[2]) + 1) if match else (stem, 2)
    for number in range(first, first + CANDIDATES):
        tail = f"-{number}{dot}{ending}"
        room = 255 - len(tail.encode())
        yield base.encode()[:room].decode(errors="ignore") + tail


def taken(path: str) -> Refused:
    return Refused(
        f"There is something else under the name {path!r}; it was not touched.",
        hint="Choose another name, or delete what is there first.",
        code="path.taken",
    )
