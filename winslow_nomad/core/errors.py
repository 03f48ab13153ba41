"""Every error a person can meet, in one tree, sorted by who has to act.

WinslowError
├── Invalid            the input is wrong; nothing was done           (CLI 2, HTTP 422)
│   ├── InvalidEntries     of a value with entries, saying which are wrong
│   └── InvalidPipeline    with one Problem per mistake: file, line, column
├── NotFound           there is no such thing                         (CLI 2, HTTP 404)
├── Refused            not possible in the present state              (CLI 2, HTTP 409)
│   ├── NoRoom             the share or a person's quota has none         (CLI 2, HTTP 507)
│   └── ImageRefused       its registry has no such image, or not for us
├── Conflict           somebody else changed it first                 (CLI 2, HTTP 409)
│   └── VersionChanged     the caller had seen another version         (HTTP 412)
├── Unidentified       who asks could not show who that is            (CLI 2, HTTP 401)
├── Denied             who asks may not                               (CLI 2, HTTP 403)
└── Unavailable        try again later; nothing is lost               (CLI 5, HTTP 503)
    ├── TooMany            asked too often; `retry_after` seconds        (HTTP 429)
    ├── StoreUnavailable
    ├── OutcomeUnknown     the store went away in the middle of a commit; repeating is safe
    ├── DriverUnavailable
    ├── ShareUnavailable   full, read-only, hanging or gone
    ├── RegistryUnavailable    a registry of images does not answer, or not now
    └── DriverRejected     the driver refuses this attempt for ever   (HTTP 422)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class WinslowError(Exception):
    """`code` is stable and meant for programs; `message` says what happened; `hint` what to do next."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Invalid(WinslowError):
    code = "invalid"


@dataclass(frozen=True)
class Problem:
    """One mistake in a pipeline file. Lines and columns count from 1; 0 where there is no position."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    code: str = "pipeline.invalid"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class InvalidEntries(Invalid):
    """`entries`: what is the matter, by where it stands: limits.2 is the third entry of the value limits."""

    def __init__(self, message: str, entries: Mapping[str, str], *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.entries = entries


class InvalidPipeline(Invalid):
    code = "pipeline.invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class NotFound(WinslowError):
    code = "not_found"


class Refused(WinslowError):
    code = "refused"


class NoRoom(Refused):
    """code is one of share.full, upload.quota."""

    code = "share.full"


class ImageRefused(Refused):
    """code is one of image.not_found, image.denied, image.architecture, image.unusable, image.no_command."""

    code = "image.unusable"


class Conflict(WinslowError):
    code = "conflict"


class Unidentified(WinslowError):
    code = "session.refused"


class Denied(WinslowError):
    code = "access.denied"


class VersionChanged(Conflict):
    """The project has another version than the one that was named (HTTP 412)."""

    code = "conflict.version"


class Unavailable(WinslowError):
    code = "unavailable"


class TooMany(Unavailable):
    """`retry_after`: seconds after which asking again makes sense."""

    code = "request.too_many"

    def __init__(self, message: str, *, retry_after: float, hint: str = "", code: str | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after = retry_after


class StoreUnavailable(Unavailable):
    code = "store.unavailable"


class OutcomeUnknown(StoreUnavailable):
    code = "store.outcome_unknown"


class DriverUnavailable(Unavailable):
    code = "driver.unavailable"


class DriverRejected(WinslowError):
    code = "driver.rejected"


class ShareUnavailable(Unavailable):
    """code is one of share.full, share.read_only, share.stalled, share.gone."""

    code = "share.unavailable"


class RegistryUnavailable(Unavailable):
    """code is one of registry.unavailable, registry.silent (it cost a whole deadline), registry.busy,
    registry.certificate, registry.no_tls."""

    code = "registry.unavailable"
