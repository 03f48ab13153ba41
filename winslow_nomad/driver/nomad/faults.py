"""What went wrong between Winslow and Nomad, sorted by what can be done: refused for ever, try again, or
unknown whether it was done.

Nomad answers errors as text, and many kinds of them with status 500; only texts that its source holds literally
are looked for. Must never repeat a token, or anything a person did not write."""

from __future__ import annotations

import re
from typing import NoReturn

import httpx
import nomad.api.exceptions as theirs
import requests

from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.driver.nomad.access import Access, unreadable_certificate

EXISTS = "Enforcing job modify index 0: job already exists"
REGISTRATION_OFF = "Job registration, dispatch, and scale are disabled by the scheduler configuration"
NO_LEADER = "No cluster leader"
TOKEN_GONE = ("ACL token not found", "ACL token expired")


class Answer(Exception):
    """Nomad answered, with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = " ".join(text.split())[:2000]


class NoAnswer(Exception):
    """`sent`: it may have been received and carried out. `why`: the cause, in words."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


def raised(error: Exception) -> NoReturn:
    """Turns what python-nomad or httpx raised into Answer or NoAnswer. Raises DriverUnavailable for unusable
    certificates."""
    cause: object = error.nomad_resp if isinstance(error, theirs.BaseNomadException) else error
    if isinstance(cause, requests.Response):
        raise Answer(cause.status_code, cause.text) from None
    if isinstance(cause, httpx.HTTPStatusError):
        raise Answer(cause.response.status_code, cause.response.text) from None
    if isinstance(cause, OSError) and "invalid path" in str(cause) and not isinstance(cause, requests.RequestException):
        raise unreadable_certificate(cause) from error
    if isinstance(cause, requests.exceptions.SSLError | httpx.ConnectError) and _of_tls(cause):
        raise NoAnswer(f"TLS failed: {_innermost(cause)}", sent=False) from error
    if isinstance(cause, requests.exceptions.ConnectTimeout | httpx.ConnectTimeout):
        raise NoAnswer("it could not be reached in time", sent=False) from error
    if isinstance(cause, requests.exceptions.Timeout | httpx.TimeoutException):
        raise NoAnswer("it did not answer in time", sent=True) from error
    if isinstance(cause, requests.exceptions.ConnectionError):
        raise NoAnswer(_innermost(cause), sent=not _never_connected(cause)) from error
    if isinstance(cause, httpx.ConnectError):
        raise NoAnswer(_innermost(cause), sent=False) from error
    if isinstance(cause, requests.RequestException | httpx.HTTPError | ValueError):
        raise NoAnswer(_innermost(cause), sent=True) from error
    raise error


def _of_tls(error: Exception) -> bool:
    return isinstance(error, requests.exceptions.SSLError) or "[SSL" in str(error)


def _never_connected(error: BaseException) -> bool:
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def _innermost(error: BaseException) -> str:
    """The cause that says most, without addresses of objects."""
    text = str(error)
    for pattern in (r"\[SSL[^\]]*\] ([^()]*)", r"CertificateError\([\"'](.*?)[\"']\)", r"\[Errno -?\d+\] ([^'\")]*)"):
        found = re.search(pattern, text)
        if found:
            return found.group(1).strip().rstrip(".")
    if "Connection aborted" in text or "RemoteDisconnected" in text or "IncompleteRead" in text:
        return "the connection was lost"
    return re.sub(r"<[^>]*object at 0x[0-9a-f]+>[:,]? ?", "", text)[:300] or type(error).__name__


def told(error: Answer | NoAnswer, access: Access, doing: str, right: str = "") -> DriverUnavailable:
    """As people read it. `doing`: what was asked ("start attempt x"); `right`: what the token must be allowed for
    it. Up to its first colon a message says what is wrong for everybody, after it, for whom. All of it may
    work later: a token or a right that is missing is given by a person, and what waits for it goes on then."""
    if isinstance(error, NoAnswer):
        return _unanswered(error, access, doing)
    if error.status == 403:
        return _forbidden(error, access, doing, right)
    if error.status == 400:
        return DriverUnavailable(
            f"Nomad does not understand what it was asked: it was to {doing} ({error.text}).",
            hint="This is a mistake in Winslow, or Nomad is older than 1.11.3.",
            code="nomad.not_understood",
        )
    if error.status == 429:
        return DriverUnavailable(
            f"Nomad has too many connections from here: it would not {doing}.",
            hint="Raise `limits { http_max_conns_per_client }` of the agent; it is tried again by itself.",
            code="nomad.too_many_requests",
        )
    if NO_LEADER in error.text:
        return DriverUnavailable(
            f"The Nomad cluster has no leader now: it cannot {doing}.",
            hint="It is tried again by itself; if it stays so, look at `nomad server members`.",
            code="nomad.no_leader",
        )
    return DriverUnavailable(
        f"Nomad has failed: it could not {doing} ({error.text}, status {error.status}).",
        hint="It is tried again by itself.",
        code="nomad.failed",
    )


def _unanswered(error: NoAnswer, access: Access, doing: str) -> DriverUnavailable:
    if error.why.startswith("TLS"):
        return DriverUnavailable(
            f"Nomad at {access.address} was not trusted: {error.why}. It was to {doing}.",
            hint="Look at NOMAD_CACERT and NOMAD_TLS_SERVER_NAME.",
            code="nomad.tls",
        )
    if error.sent:
        return DriverUnavailable(
            f"Nomad at {access.address} gave no answer: {error.why}. It was to {doing}.",
            hint="Whether it was done is found out by itself.",
            code="nomad.no_answer",
        )
    return DriverUnavailable(
        f"Nomad at {access.address} cannot be reached: {error.why}. It was to {doing}.",
        hint="Stages that run are not affected; it is tried again by itself.",
        code="nomad.unreachable",
    )


def _forbidden(error: Answer, access: Access, doing: str, right: str) -> DriverUnavailable:
    if REGISTRATION_OFF in error.text:
        return DriverUnavailable(
            "Nomad's operators have switched off the registration of jobs.",
            hint="It goes on by itself once `RejectJobRegistration` is off again.",
            code="nomad.registration_off",
        )
    if any(text in error.text for text in TOKEN_GONE) or not access.token:
        said = "does not know the token, or it has expired" if access.token else "wants a token"
        return DriverUnavailable(
            f"Nomad {said}: it refuses to {doing}.",
            hint="Give NOMAD_TOKEN one that is valid, and start Winslow anew.",
            code="nomad.token",
        )
    return DriverUnavailable(
        f"Nomad's token lacks {right or 'a right'}: it may not {doing}.",
        hint="Add it to the token's policy; what waits goes on by itself then.",
        code="nomad.forbidden",
    )
