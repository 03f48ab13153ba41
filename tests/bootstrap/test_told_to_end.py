"""A process that is told to end by a signal ends, wherever the signal finds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

from tests.waiting import until

COUNT = 30
# Each looks at the event as often as it can, so that a signal mostly comes while it is inside of it.
FAMILY = f"""
import os
from winslow_nomad.bootstrap.engine import until_told
for _ in range({COUNT}):
    if os.fork() == 0:
        stopping = until_told()
        os.write(1, b"%d\\n" % os.getpid())
        while not stopping.wait(0):
            pass
        os._exit(7)
print(*(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range({COUNT})))
"""


def test_a_signal_that_comes_while_the_event_is_looked_at_ends_the_process() -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, text=True) as family:
        assert family.stdout is not None
        pids = [int(family.stdout.readline()) for _ in range(COUNT)]
        try:
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            until(lambda: family.poll() is not None, 20)
            assert family.stdout.read().split() == ["7"] * COUNT
        finally:
            for pid in pids if family.poll() is None else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
