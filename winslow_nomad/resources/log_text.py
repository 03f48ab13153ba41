"""How a line is shown: what is left of a progress bar, no more than fits, no secret.

Works on the bytes of one line; the stored log stays as it is."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import re2

from winslow_nomad.core.client import LogChunk
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.logs import SecretTexts

SHOWN = 16 * 1024  # bytes of a line
TELLING = 4  # characters of the beginning of a secret; fewer tell nothing and are met everywhere
HIDDEN = b"********"
SHORTEST = 8  # characters of a secret that is masked: shorter ones would hide what is no secret


class Masker:
    """Replaces secrets in bytes, the longest first where several begin at one place. A secret of several lines is
    looked for line by line, since logs are read by lines. Safe between threads."""

    def __init__(self, secrets: Sequence[str]) -> None:
        parts = {s for secret in secrets for s in (secret, *secret.splitlines()) if len(s) >= SHORTEST}
        encoded = sorted((p.encode() for p in parts), key=len, reverse=True)
        self._secrets = encoded
        self.digest = hashlib.sha256(b"\0".join(encoded)).hexdigest()
        self.longest = len(encoded[0]) if encoded else 0
        size = sum(map(len, encoded))
        self._pattern = re2.compile(b"|".join(map(re2.escape, encoded)), _options(size)) if encoded else None

    def line(self, data: bytes, start: int = 0, end: int = sys.maxsize) -> bytes:
        """Of data[start:end]; a secret that is cut by either end is hidden as a whole."""
        if self._pattern is None:
            return data[start:end]
        return b"".join(self._pieces(data, start, min(end, len(data)), lambda _: HIDDEN))

    def same_length(self, data: bytes, *, cut: bool = False) -> bytes:
        """As many asterisks as there were bytes: positions stay true. cut: more may follow, so that what may be the
        beginning of a secret is hidden as well."""
        if self._pattern is None:
            return data
        held = self.held(data) if cut else 0
        whole = b"".join(self._pieces(data, 0, len(data), lambda length: b"*" * length))
        return whole[: len(whole) - held] + b"*" * held

    def held(self, data: bytes, telling: int = TELLING) -> int:
        """How many bytes at the end may be the beginning of a secret whose rest is still to come; a whole secret that
        ends among them is not cut. `telling`: fewer bytes of a beginning do not count."""
        tail = data[-self.longest :] if self.longest else b""
        found = max((_overlap(tail, s) for s in self._secrets), default=0)
        if found < telling or self._pattern is None:
            return 0
        cut = len(data) - found
        return len(data) - next((m.start() for m in self._pattern.finditer(data) if m.start() < cut < m.end()), cut)

    def _pieces(self, data: bytes, start: int, end: int, hidden: Callable[[int], bytes]) -> Iterator[bytes]:
        behind = start
        for found in self._pattern.finditer(data) if self._pattern is not None else ():
            if found.start() >= end:
                break
            if found.end() > start:
                yield data[behind : max(behind, found.start())]
                yield hidden(found.end() - found.start())
                behind = found.end()
        yield data[behind:end]


def _overlap(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` could be the beginning of `secret`."""
    for length in range(min(len(data), len(secret) - 1), 0, -1):
        if secret.startswith(data[-length:]):
            return length
    return 0


def _options(size: int) -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.longest_match = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = max(8 << 20, size * 2048)
    return options


NOTHING = Masker(())


class Mask:
    """Hides secrets in a stream of chunks, also where one is cut by the end of a chunk. `masker`: the present one."""

    def __init__(self, masker: Callable[[], Masker]) -> None:
        self._masker = masker
        self._held: dict[str, bytes] = {}

    def apply(self, chunk: LogChunk) -> LogChunk:
        masker = self._masker()
        data = self._held.pop(chunk.stream, b"") + chunk.data
        keep = masker.held(data, telling=1)
        if keep:
            self._held[chunk.stream] = data[-keep:]
        return chunk.but(data=masker.line(data, 0, len(data) - keep))

    def rest(self) -> list[LogChunk]:
        """What was held back because it could have become a secret."""
        masker = self._masker()
        held, self._held = self._held, {}
        return [LogChunk.model_validate({"stream": s, "data": masker.line(d)}) for s, d in held.items()]


class Masks:
    """The masker of all secrets there are, made anew when there is another one."""

    def __init__(self, secrets: SecretTexts) -> None:
        self._secrets = secrets
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._masker = Masker(())

    def now(self) -> Masker:
        """Raises StoreUnavailable: rather nothing is shown than a secret."""
        references = set(self._secrets.references())
        with self._lock:
            if references != self._texts.keys():
                texts = {r: self._texts[r] for r in references & self._texts.keys()}
                for reference in references - texts.keys():
                    with contextlib.suppress(NotFound):  # deleted a moment ago
                        texts[reference] = self._secrets.reveal(reference)
                self._texts, self._masker = texts, Masker(list(texts.values()))
            return self._masker


def shown(head: bytes, tail: bytes, length: int, masker: Masker) -> tuple[str, int]:
    """The text of a line of `length` bytes, without its newline, and how many bytes were cut off. `head` and `tail`:
    its first and last SHOWN + masker.longest bytes; of a shorter line all of it, both times."""
    if length <= SHOWN:
        return shown_whole(head, masker), 0
    end = masker.line(tail, len(tail) - SHOWN).rstrip(b"\r")
    if b"\r" in end:
        return _text(_newest(end)), 0
    return _text(_newest(masker.line(head, 0, SHOWN))), length - SHOWN


def shown_whole(line: bytes, masker: Masker) -> str:
    """Of a line that needs no cutting."""
    if masker.longest:
        line = masker.line(line)
    return _text(_newest(line) if b"\r" in line else line)


def _newest(line: bytes) -> bytes:
    """What a terminal would still show: each carriage return begins the line again."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
