"""Who makes a copy of a file on the share, judged by what was tried there."""

from __future__ import annotations

import pytest

from winslow_nomad.bootstrap.nomad_doctor import copies
from winslow_nomad.resources.probe import Mount

LOCAL = Mount(point="/probe", kind="ext4", source="/dev/sda", options=())
NFS = Mount(point="/probe", kind="nfs4", source="server:/winslow", options=("vers=4.2",))
CEPH = Mount(point="/probe", kind="ceph", source="a:/", options=())
SIZE = {"copied": str(16 * 2**20)}
# times as measured over 256 MiB on an NFS mount: XFS and ext4 behind version 4.2, and version 4.1
CLONED = {"clone_us": "15000", "range_us": "10000", "through_us": "600000", "by_server": "1"}
COPIED = {"clone_error": "Operation not supported", "range_us": "220000", "through_us": "540000", "by_server": "1"}
FELL_BACK = {"clone_error": "Operation not supported", "range_us": "660000", "through_us": "540000", "by_server": "0"}
NO_COUNTS = {"clone_error": "Operation not supported", "range_us": "20000", "through_us": "540000"}
REFUSED = {"clone_error": "Operation not supported", "range_error": "Function not implemented", "through_us": "540000"}


@pytest.mark.parametrize(
    ("told", "mount", "words", "fix"),
    [
        (CLONED, NFS, "share blocks (16.0 MiB in 0.015 s)", False),
        (COPIED, NFS, "made by the file server (16.0 MiB in 0.22 s, through the node 0.54 s)", False),
        (FELL_BACK, NFS, "pass through the node", True),
        (NO_COUNTS, CEPH, "seem to be made by the file server", False),
        ({**NO_COUNTS, "range_us": "500000"}, CEPH, "pass through the node", True),
        (REFUSED, NFS, "pass through the node (16.0 MiB in 0.54 s)", True),
        (NO_COUNTS, LOCAL, "made by its kernel", False),
    ],
)
def test_who_copies_is_told_by_what_was_tried(told: dict[str, str], mount: Mount, words: str, fix: bool) -> None:
    found = copies(SIZE | told, mount)
    assert words in found.text and bool(found.fixes) == fix
    assert not fix or "vers=4.2" in found.fixes[0]
