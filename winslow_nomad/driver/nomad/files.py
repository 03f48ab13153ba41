"""The log of an attempt on its node, read through Nomad's file API: what a runner that was killed has not brought to
the share, and what a share that shows things late does not show yet. Which bytes those are is decided by positions
alone: the spool has the same bytes at the same places.

Must never be the way a log is read as long as the share has it."""

from __future__ import annotations

from winslow_nomad.core.ports import LogStream
from winslow_nomad.driver.nomad.client import Client
from winslow_nomad.driver.nomad.job import SPOOL

STREAMS: tuple[LogStream, ...] = ("out", "err", "index")


class NodeSpool:
    """core.ports.Spool of one allocation."""

    def __init__(self, client: Client, allocation: str) -> None:
        self._client, self._allocation = client, allocation

    def sizes(self) -> dict[LogStream, int] | None:
        """None: it ended in order, was never begun, or Nomad has removed the allocation's directory."""
        found: dict[LogStream, int] = {}
        for stream in STREAMS:
            size = self.size(stream)
            if size is None:
                return None
            found[stream] = size
        return found

    def size(self, stream: LogStream) -> int | None:
        return self._client.size_of(self._allocation, _path(stream))

    def read(self, stream: LogStream, offset: int, count: int) -> bytes:
        return self._client.bytes_of(self._allocation, _path(stream), offset, count)


def _path(stream: LogStream) -> str:
    return f"alloc/{SPOOL}/{stream}"
