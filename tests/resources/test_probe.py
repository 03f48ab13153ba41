from __future__ import annotations

from pathlib import Path

import pytest

from tests.resources.conftest import command
from tests.resources.reading import patient
from winslow_nomad.resources.attempts import install_runner
from winslow_nomad.resources.probe import advice, mount_of, probe
from winslow_nomad.resources.scribe import Scribe

MOUNTINFO = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 22 0:45 / /srv/winslow\040share rw,noatime - nfs4 nas:/export rw,vers=4.1,soft,noac,proto=tcp,timeo=600
91 90 0:46 / /srv/winslow\040share/fast rw - xfs /dev/sdb rw
92 22 0:47 / /srv/win rw - tmpfs tmpfs rw
"""


def probed(root: Path):
    writer = Scribe(root)
    writer.establish("x")
    facts = probe(writer, patient(root))
    writer.close()
    assert not list((root / "trash").iterdir())
    return facts


def test_sharing_of_blocks_is_tried_and_not_guessed(filesystem):
    ext4, xfs = probed(filesystem("ext4", 32)), probed(filesystem("xfs", 320))
    assert (ext4.mount.kind, ext4.reflink, xfs.mount.kind, xfs.reflink) == ("ext4", False, "xfs", True)
    assert 0 < ext4.free < ext4.total <= 32 << 20 and 0 < ext4.write_seconds < 5
    assert not ext4.mount.network and ext4.condition == ""


def test_a_read_only_share_is_a_fact_and_no_error(filesystem):
    root = filesystem("tmpfs", 1)
    writer = Scribe(root)
    writer.establish("x")
    command("mount", "-o", "remount,ro", root)
    facts = probe(writer, patient(root))
    command("mount", "-o", "remount,rw", root)
    writer.close()
    assert facts.code == "share.read_only" and facts.total > 0 and "read-only" in facts.condition


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home", "ext4"),
        ("/srv/winslow share/projects", "nfs4"),
        ("/srv/winslow share", "nfs4"),
        ("/srv/winslow share/fast/x", "xfs"),
        ("/srv/winslow shared", "ext4"),
    ],
)
def test_the_mount_of_a_path_is_the_nearest_above(path, kind):
    assert mount_of(Path(path), MOUNTINFO).kind == kind


def test_mount_options_that_lose_data_are_named_with_the_cure():
    said = " ".join(advice(mount_of(Path("/srv/winslow share"), MOUNTINFO)))
    for word in ("not soft", "noac", "vers=4.2", "lookupcache=positive", "acdirmax=3"):
        assert word in said
    good = "1 0 0:1 / / rw - nfs4 n:/ rw,vers=4.2,hard,proto=tcp,lookupcache=positive,"
    good += "acregmin=1,acregmax=3,acdirmin=1,acdirmax=3"
    assert advice(mount_of(Path("/x"), good)) == ()
    assert advice(mount_of(Path("/home"), MOUNTINFO)) == ()


def test_the_runner_is_installed_once_whole_and_executable(writer, root, tmp_path):
    built = {arch: tmp_path / arch for arch in ("amd64", "arm64")}
    for arch, path in built.items():
        path.write_bytes(b"\x7fELF" + arch.encode())
    places = install_runner(writer, "1.0", built.__getitem__)
    assert places == {a: f"bin/1.0/{a}/winslow-run" for a in built}
    installed = root / places["amd64"]
    assert installed.read_bytes() == b"\x7fELFamd64" and installed.stat().st_mode & 0o777 == 0o755
    inode = installed.stat().st_ino
    install_runner(writer, "1.0", built.__getitem__)
    assert installed.stat().st_ino == inode
    installed.write_bytes(b"damaged")
    install_runner(writer, "1.0", built.__getitem__)
    assert installed.read_bytes() == b"\x7fELFamd64"
    assert [p.name for p in installed.parent.iterdir()] == ["winslow-run"]
