from __future__ import annotations

import subprocess
import sys

from winslow_nomad.bootstrap.owners import gone, owner


def test_a_process_is_gone_when_it_has_ended_and_not_before() -> None:
    asked = "from winslow_nomad.bootstrap.owners import owner; print(owner(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert not gone(name)
        assert not gone(f"{name} mirror")
        other.kill()
        other.wait()
    assert gone(name)
    assert gone(f"{name} mirror")


def test_of_processes_of_another_boot_nothing_is_said() -> None:
    process, _, _ = owner().partition("@")
    assert not gone(f"{process.rpartition(':')[0]}:999999999@another-boot/4026531836")
    assert not gone("host:1")
    assert not gone("")
