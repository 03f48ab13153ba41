"""Starts a runner so that it belongs to nobody: its own session, its parent gone at once, in a service
scope of its own where systemd would otherwise end it together with Winslow. Never waits for a runner."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from winslow_nomad.core.errors import DriverUnavailable

_RESET = (
    signal.SIGPIPE,  # Python ignores it, and what is ignored is inherited
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGXFSZ,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
)

PATIENCE = 20.0  # seconds until a go-between that does not end is given up; it takes a millisecond


class Launcher:
    """`setsid --fork` is the go-between: it forks and ends before the runner is executed, so that no
    Winslow process is the runner's parent and none has to reap it. posix_spawn copies no memory and is
    safe in a process with threads. Measured: 1.7 ms until the call returns."""

    def __init__(self, scope: Sequence[str] | None = None, patience: float = PATIENCE) -> None:
        self._patience = patience
        setsid = shutil.which("setsid")
        if setsid is None:
            raise DriverUnavailable(
                "The program setsid is missing, so that no stage can be started here.",
                hint="Install the package util-linux.",
            )
        self._setsid = setsid
        self._scope = tuple(service_scope() if scope is None else scope)

    def launch(self, argv: Sequence[str], environment: Mapping[str, str], words: Path) -> None:
        """Start `argv`; what it says itself is appended to the file `words`. Raises OSError; the runner may have been
        started all the same, which its claim tells."""
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.fspath(words), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawn(
            self._setsid,
            [self._setsid, "--fork", *self._scope, *argv],
            self._session() | dict(environment),
            file_actions=actions,
            setsigmask=(),
            setsigdef=_RESET,
        )
        try:
            late = not self._has_ended(pid)
            if late:
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        except (ChildProcessError, ProcessLookupError):
            return  # reaped by somebody who waits for any child: it ran
        if late:
            raise OSError(f"setsid, which starts the runner, did not end within {self._patience:g} s")
        if status != 0:
            raise OSError(f"setsid could not start the runner (status {os.waitstatus_to_exitcode(status)})")

    def _has_ended(self, pid: int) -> bool:
        """Waited for with an end: whoever starts a stage holds the lock without which no other stage starts or ends."""
        descriptor = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(self._patience * 1000))
        finally:
            os.close(descriptor)

    def _session(self) -> dict[str, str]:
        """What systemd-run needs to find its manager; nothing of ours reaches a runner otherwise."""
        names = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if self._scope else ()
        return {name: os.environ[name] for name in names if name in os.environ}


def service_scope() -> tuple[str, ...]:
    """The words before a command that move it out of the service Winslow runs in; none where it runs in no
    service, or where systemd does not let us: then the unit needs KillMode=process."""
    if not _in_service():
        return ()
    systemd_run = shutil.which("systemd-run")
    for manager in ((), ("--user",)) if os.getuid() == 0 else (("--user",),):
        if systemd_run is None:
            break
        scope = (systemd_run, *manager, "--scope", "--quiet", "--collect", "--slice=winslow-stages.slice", "--")
        try:
            tried = subprocess.run([*scope, "true"], capture_output=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if tried.returncode == 0:
            return scope
    return ()


def _in_service() -> bool:
    try:
        return any(
            part.endswith(".service") and not part.startswith("user@")
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            for part in line.rpartition(":")[2].split("/")
        )
    except OSError:
        return False
