"""The bytes of a log as they were written, from any position on: of one stream, or of both in the order of time.

Secrets are hidden behind as many asterisks, each stream by itself, also where a secret is cut by the end of a piece."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from winslow_nomad.core.client import LogChunk
from winslow_nomad.resources.log_files import LogFiles
from winslow_nomad.resources.log_index import Places, records
from winslow_nomad.resources.log_text import Masker
from winslow_nomad.resources.logs import STREAMS


def read(files: LogFiles, places: Places, masker: Masker, start: int, limit: int, stream: int | None) -> list[LogChunk]:
    """At most `limit` bytes from `start` on."""
    pieces = list(_pieces(files, places, start, limit, stream))
    begins, data = {}, {}
    for s in {piece[0] for piece in pieces}:
        begins[s] = min(offset for of, offset, _, _ in pieces if of == s)
        end = max(offset + length for of, offset, length, _ in pieces if of == s)
        data[s] = _masked(files, places, masker, s, begins[s], end)
    found = []
    for s, offset, length, micros in pieces:
        text = data[s][offset - begins[s] : offset - begins[s] + length]
        at = datetime.fromtimestamp(micros / 1e6, UTC) if micros else None
        found.append(LogChunk(stream=STREAMS[s + 1], data=text, at=at))
        if len(text) < length:
            break  # shorter than it was a moment ago
    return [chunk for chunk in found if chunk.data]


def _pieces(
    files: LogFiles, places: Places, start: int, limit: int, stream: int | None
) -> Iterator[tuple[int, int, int, int]]:
    """(stream, offset, length, microseconds) of what follows upon a position, as far as it is known."""
    end = min(start + limit, places.reached.bytes if stream is None else places.reached.position(stream))
    if start >= end:
        return
    place = places.place(places.before_byte(stream, start))
    position = [place.out, place.err]
    done = place.bytes if stream is None else place.position(stream)
    within = place.within
    for micros, length, s, upto in records(files, places, place, places.reached):
        last = min(position[s] + length - within, upto.position(s))
        within = 0
        if stream in (None, s):
            skipped = min(max(0, start - done), last - position[s])
            done += last - position[s]
            taken = min(last, last - (done - end)) - position[s] - skipped
            if taken > 0:
                yield s, position[s] + skipped, taken, micros
            if done >= end:
                return
        position[s] = last


def _masked(files: LogFiles, places: Places, masker: Masker, stream: int, start: int, end: int) -> bytes:
    before = max(0, start - masker.longest)
    known = places.reached.position(stream)
    raw = files.read(stream, before, min(end + masker.longest, known) - before)
    cut = not places.covered and before + len(raw) == known
    return masker.same_length(raw, cut=cut)[start - before : end - before]
