"""What the present piece of work is about: the request, project, attempt, operation that lines of the log name.

Only for logs: no decision may ever look at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_now: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039 - never changed, only replaced


def now() -> Mapping[str, str]:
    return _now.get()


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Whatever this thread or task says until it leaves is about these as well."""
    token = _now.set({**_now.get(), **fields})
    try:
        yield
    finally:
        _now.reset(token)
