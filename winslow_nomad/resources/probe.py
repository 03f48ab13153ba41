"""What kind of a place the share is: asked once at start and by `winslow doctor`. Leaves nothing behind."""

from __future__ import annotations

import os
import re
import secrets
import time
from pathlib import Path

from winslow_nomad.core.errors import ShareUnavailable
from winslow_nomad.core.model import Value
from winslow_nomad.resources import scribe
from winslow_nomad.resources.child import Child
from winslow_nomad.resources.reader import Reader
from winslow_nomad.resources.scribe import Scribe

NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "glusterfs", "lustre", "beegfs"})
WANTED = {"lookupcache": "positive", "acregmin": "1", "acregmax": "3", "acdirmin": "1", "acdirmax": "3"}
MOUNTS = Path("/proc/self/mountinfo")


class Mount(Value):
    """The mount that a path lies on, of /proc/self/mountinfo."""

    point: str
    kind: str  # "xfs", "nfs4", "fuse.sshfs"
    source: str
    options: tuple[str, ...]

    @property
    def network(self) -> bool:
        return self.kind in NETWORK or self.kind.startswith("fuse.")


class ShareFacts(Value):
    """Sizes in bytes, `write_seconds` for one small file with fsync. `condition`: why it cannot be written,
    with its code; empty where it can. `advice`: what an administrator should change, a sentence each."""

    root: str
    mount: Mount
    reflink: bool = False
    total: int = 0
    free: int = 0
    write_seconds: float = 0.0
    condition: str = ""
    code: str = ""
    advice: tuple[str, ...] = ()


def probe(writer: Scribe, reader: Reader) -> ShareFacts:
    """Never raises for a share in trouble: that is one of the facts."""
    mount = mount_of(reader.root, MOUNTS.read_text(errors="surrogateescape"))
    facts = ShareFacts(root=str(reader.root), mount=mount, advice=advice(mount))
    try:
        space = reader.call(lambda: os.statvfs(reader.root), "the free space")
        facts = facts.but(total=space.f_blocks * space.f_frsize, free=space.f_bavail * space.f_frsize)
        began = time.monotonic()
        name = f"trash/probe-{secrets.token_hex(6)}"
        steps = [scribe.mkdir("trash"), scribe.write(name, "probe"), scribe.unlink(name)]
        writer.perform(steps, "the share was not probed")
        facts = facts.but(write_seconds=time.monotonic() - began)
        return facts.but(reflink=can_reflink(writer, reader))
    except ShareUnavailable as error:
        return facts.but(condition=error.message, code=error.code)


def can_reflink(writer: Scribe, reader: Reader) -> bool:
    """Tried, not guessed: two files share their blocks, or they cannot (FICLONE). Raises ShareUnavailable."""
    name = f"trash/probe-{secrets.token_hex(6)}"
    writer.perform([scribe.mkdir("trash"), scribe.write(name, "x" * 65536)], "sharing of blocks was not tried")
    deadline = time.monotonic() + 5

    def look() -> None:
        if time.monotonic() > deadline:
            raise ShareUnavailable(f"The share {reader.root} does not answer.", code="share.stalled")

    path = reader.root / name
    try:
        return Child(["cp", "--reflink=always", "--", str(path), f"{path}.2"]).wait(look).code == 0
    finally:
        writer.perform([scribe.unlink(name), scribe.unlink(f"{name}.2")], "a probe was not removed")


def mount_of(path: Path, mountinfo: str) -> Mount:
    """The longest mount point above `path`; the last of several on one point is the one seen."""
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100 - resolving would touch the share
    best = Mount(point="/", kind="unknown", source="", options=())
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 6 or len(kinds) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4])
        above = Path(point).parts
        if parts[: len(above)] == above and len(above) >= len(Path(best.point).parts):
            options = tuple(dict.fromkeys([*fields[5].split(","), *kinds[2].split(",")]))
            best = Mount(point=point, kind=kinds[0], source=kinds[1], options=options)
    return best


def advice(mount: Mount) -> tuple[str, ...]:
    """What is known to hurt, and what to write into the mount instead."""
    if mount.kind not in ("nfs", "nfs4"):
        return ()
    given = dict(option.partition("=")[::2] for option in mount.options)
    said = []
    for bad in ("soft", "softerr"):
        if bad in given:
            said.append(f"Mount it hard, not {bad}: a {bad} mount drops data when the server is away for a minute.")
    if "noac" in given:
        said.append("Leave out noac: every look at a file becomes a request.")
    if given.get("vers", "") not in ("4.2", ""):
        said.append(f"Mount it with vers=4.2, not {given['vers']}: copies are made by the server then.")
    if given.get("proto", "tcp") not in ("tcp", "tcp6", "rdma"):
        said.append("Mount it with proto=tcp.")
    wrong = [f"{name}={value}" for name, value in WANTED.items() if given.get(name) != value]
    if wrong:
        said.append(f"Mount it with {','.join(wrong)}: new files are seen within seconds then, not within a minute.")
    return tuple(said)
