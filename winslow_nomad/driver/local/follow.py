"""Watches the attempts of this machine and reports what changes, within milliseconds of an end.

Runners send a datagram when they start and when their end is on the share; a descriptor of each runner's
process tells of those that can send nothing any more; and a look at everything once a second finds what
both missed. One follower at a time owns the socket, others look more often instead."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from winslow_nomad.core.errors import Unavailable
from winslow_nomad.core.ports import Observation
from winslow_nomad.driver.local.book import Book
from winslow_nomad.driver.local.booking import Booking
from winslow_nomad.driver.local.judge import ENDED_INDEX, Judge
from winslow_nomad.driver.local.machine import Process, open_pidfd

_TICK = 0.1  # seconds between two looks at `stopping`
_LOOK = 1.0  # seconds between two looks at everything, with the socket


class Follower:
    def __init__(
        self, book: Book, judge: Judge, pump: Callable[[], None], report: Callable[[Observation], None]
    ) -> None:
        self._book, self._judge, self._pump, self._report = book, judge, pump, report
        self._poll = select.poll()
        self._socket: socket.socket | None = None
        self._guard: int | None = None
        self._watched: dict[Process, int] = {}
        self._reported: dict[str, int] = {}

    def run(self, stopping: Callable[[], bool]) -> None:
        try:
            next_look = 0.0
            while not stopping():
                self._own_socket()
                if self._wait() or time.monotonic() >= next_look:
                    self._look()
                    next_look = time.monotonic() + (_LOOK if self._socket else 0.0)
        finally:
            self._close()

    def _wait(self) -> bool:
        """True: something has happened."""
        events = self._poll.poll(_TICK * 1000)
        if not events:
            return False
        if self._socket is not None:
            with suppress(BlockingIOError):
                while True:
                    self._socket.recv(4096)
        return True

    def _look(self) -> None:
        with suppress(OSError, Unavailable):  # seen at the next look
            self._report_changes()
            self._pump()  # an end frees its place, and what starts in it is news
            self._report_changes()

    def _report_changes(self) -> None:
        bookings = self._book.all()
        for booking in bookings:
            self._report_change(booking)
        self._watch(bookings)
        self._reported = {str(b.spec.ref): self._reported.get(str(b.spec.ref), 0) for b in bookings}

    def _report_change(self, booking: Booking) -> None:
        ref = str(booking.spec.ref)
        if self._reported.get(ref, 0) >= ENDED_INDEX:
            return
        with suppress(OSError, Unavailable):
            seen = self._judge.look(booking)
            if seen.index != self._reported.get(ref):
                self._report(seen)
                self._reported[ref] = seen.index

    def _watch(self, bookings: list[Booking]) -> None:
        """Hold a descriptor of each runner that works; it becomes readable when the process has ended."""
        held = (self._judge.runner_of(b) for b in bookings if b.state == "launched")
        runners = {runner for runner in held if runner is not None}
        for gone in self._watched.keys() - runners:
            self._unwatch(gone)
        for runner in runners - self._watched.keys():
            descriptor = open_pidfd(runner)
            if descriptor is not None:
                self._watched[runner] = descriptor
                self._poll.register(descriptor, select.POLLIN)

    def _unwatch(self, runner: Process) -> None:
        descriptor = self._watched.pop(runner)
        self._poll.unregister(descriptor)
        os.close(descriptor)

    def _own_socket(self) -> None:
        """Become the one who hears the runners, if nobody is."""
        if self._socket is not None or not self._book.socket_usable:
            return
        path = self._book.socket
        guard = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(guard)
            return
        path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listening.bind(os.fspath(path))
        self._socket, self._guard = listening, guard
        self._poll.register(listening, select.POLLIN)

    def _close(self) -> None:
        for runner in list(self._watched):
            self._unwatch(runner)
        if self._socket is not None:
            self._socket.close()
        if self._guard is not None:
            os.close(self._guard)
