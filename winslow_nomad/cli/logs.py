"""`winslow log`: a log to stdout. Into a file or pipe byte for byte; on a terminal nothing that steers it."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable

from winslow_nomad.cli import given, words
from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.errors import Refused
from winslow_nomad.core.project import Project


def chosen(project: Project, stage: str) -> int:
    """The stage meant, or the newest that ran."""
    if stage:
        return given.stage_number(project, stage)
    ran = [n for n, e in project.ended.items() if e.attempt]
    ran += [n for n, s in project.stages.items() if s.attempts]
    if not ran:
        hint = f"See winslow show {project.id} for what it waits for."
        raise Refused(f"No stage of {project.name} has run yet.", hint=hint, code="log.nothing_ran")
    return max(ran)


def write(chunks: Iterable[LogChunk], stream: str) -> None:
    """`stream`: out, err, or empty for both in the order of time."""
    wanted = (c for c in chunks if not stream or c.stream == stream)
    if sys.stdout.isatty():
        on_terminal(wanted)
        return
    for chunk in wanted:
        sys.stdout.buffer.write(chunk.data)
        sys.stdout.buffer.flush()


def on_terminal(chunks: Iterable[LogChunk]) -> None:
    # one decoder for each stream: a character may be cut in two by the end of a chunk
    decoders = {s: codecs.getincrementaldecoder("utf-8")("replace") for s in ("out", "err")}
    for chunk in chunks:
        text = decoders[chunk.stream].decode(chunk.data)
        sys.stdout.write("\n".join(words.safe(line.removesuffix("\r")) for line in text.split("\n")))
        sys.stdout.flush()
