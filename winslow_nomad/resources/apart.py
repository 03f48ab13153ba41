"""Import, checksum, unpack and delete in a child process: the share may hang in the middle of them, and a process that
does cannot be told anything. The worker only reads what the child says, and can leave it at any moment.

The child gets the operation as one line on its standard input and answers with lines of JSON: progress
while it works, then what was done or what went wrong. SIGTERM cancels it: it takes away what it half
made. One that does not end within a second of that is killed with its whole group.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from winslow_nomad.core import errors
from winslow_nomad.core.errors import WinslowError
from winslow_nomad.core.operations import Operation
from winslow_nomad.resources.child import ending_with_us, others_first
from winslow_nomad.resources.names import shown
from winslow_nomad.resources.pool import Pool
from winslow_nomad.resources.space import size
from winslow_nomad.resources.trash import Trash
from winslow_nomad.resources.unpacking import unpack
from winslow_nomad.resources.work import Cancelled, Progress, condition

LOOK_EVERY = 0.2  # seconds between two calls of progress, and between two lines of it
GRACE = 0.7  # seconds a cancelled child has for tidying up


class Apart:
    """operate.Handler for the kinds import, checksum, unpack, delete."""

    def __init__(self, share: Path, mapped: Mapping[str, Path]) -> None:
        self._share = share
        self._mapped = {name: str(path) for name, path in mapped.items()}

    def __call__(self, operation: Operation, progress: Progress) -> str:
        request = {"share": str(self._share), "mapped": self._mapped, "operation": operation.model_dump(mode="json")}
        child = subprocess.Popen(
            [*ending_with_us(), sys.executable, "-m", "winslow_nomad.resources.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        others_first(child.pid)
        try:
            assert child.stdin is not None
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(request).encode() + b"\n")
                child.stdin.close()
            return self._follow(child, operation, progress)
        finally:
            _leave(child)

    @staticmethod
    def _follow(child: subprocess.Popen[bytes], operation: Operation, progress: Progress) -> str:
        assert child.stdout is not None
        said = [operation.bytes_done, operation.bytes_total, operation.files_done, operation.files_total]
        rest = b""
        with selectors.DefaultSelector() as ready:
            ready.register(child.stdout, selectors.EVENT_READ)
            while True:
                if ready.select(LOOK_EVERY):
                    block = os.read(child.stdout.fileno(), 65536)
                    *lines, rest = (rest + block).split(b"\n")
                    for line in lines:
                        answer = json.loads(line)
                        if "text" in answer:
                            return str(answer["text"])
                        if "error" in answer:
                            raise _error(answer["error"])
                        said = answer["progress"]
                    if not block:
                        raise WinslowError(
                            f"The process that did it ended without a word (exit code {child.wait()}).",
                            hint="Look for it in the system's log (out of memory?), then ask again.",
                            code="operation.died",
                        )
                progress(*said)


def _leave(child: subprocess.Popen[bytes]) -> None:
    """End it; never waits for one that the share holds."""
    for send, wait in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 0.2)):
        if child.poll() is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(child.pid, send)
        with suppress(subprocess.TimeoutExpired):
            child.wait(wait)
    if child.stdout is not None:
        child.stdout.close()


def _error(said: Mapping[str, str]) -> WinslowError:
    kind = getattr(errors, said["kind"], WinslowError)
    made: WinslowError = kind(said["message"], hint=said["hint"], code=said["code"])
    return made


class _Telling:
    """Progress inside the child."""

    def __init__(self) -> None:
        self.cancelled = False
        self._next = 0.0

    def cancel(self, *_: object) -> None:
        self.cancelled = True

    def __call__(self, *numbers: int) -> None:
        if self.cancelled:
            raise Cancelled
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_EVERY
            _say({"progress": numbers})


def _say(answer: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def carry_out(pool: Pool, trash: Trash, operation: Operation, progress: Progress) -> str:
    """In this process; answers what was done, in words."""
    match operation.kind:
        case "import":
            return f"in the input pool as {shown(pool.carry_out_import(operation, progress))}"
        case "checksum":
            return f"SHA-256 {pool.carry_out_checksum(operation, progress)}"
        case "delete":
            return f"{size(trash.delete(operation, progress))} freed"
        case "unpack":
            return unpack(pool.share, pool.mapped, operation, progress)
    raise WinslowError(f"This is no operation on files: {operation.kind}.", code="operation.unknown")


def main() -> None:
    telling = _Telling()
    signal.signal(signal.SIGTERM, telling.cancel)
    request = json.loads(sys.stdin.readline())
    share = Path(request["share"])
    mapped = {name: Path(path) for name, path in request["mapped"].items()}
    operation = Operation.model_validate(request["operation"])
    pool = Pool(share, mapped, lambda: operation.id, lambda: datetime.now(UTC))
    try:
        _say({"text": carry_out(pool, Trash(share), operation, telling)})
    except Cancelled:
        sys.exit(1)
    except WinslowError as error:
        _tell(error)
    except OSError as error:
        _tell(condition(error) or WinslowError(f"{operation.kind}: {error}.", code="operation.failed"))


def _tell(error: WinslowError) -> None:
    kind = type(error).__name__
    _say({"error": {"kind": kind, "message": error.message, "hint": error.hint, "code": error.code}})


if __name__ == "__main__":
    main()
