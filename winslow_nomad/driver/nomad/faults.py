"""What went wrong between Winslow and Nomad, sorted by what can be done: refused for ever, try again, or
unknown whether it was done.

Nomad answers errors as text, and many kinds of them with status 500; only texts that its source holds literally
are looked for. Must never repeat a token, or anything a person did not write."""

from __future__ import annotations

import re
from typing import Literal, NoReturn

import httpx
import nomad.api.exceptions as theirs
import requests

from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.driver.nomad.access import Access, unreadable_certificate

EXISTS = "Enforcing job modify index 0: job already exists"
REGISTRATION_OFF = "Job registration, dispatch, and scale are disabled by the scheduler configuration"
NO_LEADER = "No cluster leader"
NEW_LEADER = "Not ready to serve consistent reads"  # of the first moments of one
EXPIRED = "ACL token expired"
UNKNOWN = "ACL token not found"
NOT_PLAIN = "Client sent an HTTP request to an HTTPS server"
NO_REGION = "No path to region"
TLS = "TLS failed: "
LATE = "it did not answer in time"
NOT_NOMAD = "what answers there is not Nomad, or something in front of it"
Token = Literal["good", "none", "unknown", "expired"]


class Answer(Exception):
    """Nomad answered, with an error; or something between it and Winslow did. `location`: where it sends to."""

    def __init__(self, status: int, text: str, location: str = "") -> None:
        self.status = status
        self.text = " ".join(text.split())[:2000]
        self.location = location
        super().__init__(f"{status}: {self.text}")

    @property
    def foreign(self) -> bool:
        """Whether Nomad cannot have said it: it speaks plain text, and has none of these statuses."""
        return 300 <= self.status < 400 or self.status in (401, 502, 503, 504) or self.text.startswith("<")

    @property
    def gist(self) -> str:
        """The title of a page, or the begin of a text."""
        title = re.search(r"<title>(.*?)</title>", self.text, re.IGNORECASE)
        return title[1].strip()[:200] if title else re.sub(r"<[^>]*>", " ", self.text).strip()[:200]


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
    if isinstance(cause, requests.TooManyRedirects) and cause.response is not None:
        cause = cause.response
    if isinstance(cause, requests.Response):
        raise Answer(cause.status_code, cause.text, cause.headers.get("location", "")) from None
    if isinstance(cause, httpx.HTTPStatusError):
        said = cause.response
        raise Answer(said.status_code, said.text, said.headers.get("location", "")) from None
    if isinstance(cause, OSError) and "invalid path" in str(cause) and not isinstance(cause, requests.RequestException):
        raise unreadable_certificate(cause) from error
    if isinstance(cause, requests.exceptions.SSLError | httpx.TransportError) and _of_tls(cause):
        if "KEY_VALUES_MISMATCH" in str(cause):
            raise unreadable_certificate("the key of Winslow's own does not belong to the certificate") from error
        raise NoAnswer(f"{TLS}{_innermost(cause)}", sent=False) from error
    if isinstance(cause, requests.exceptions.ConnectTimeout | httpx.ConnectTimeout):
        raise NoAnswer("it could not be reached in time", sent=False) from error
    if isinstance(cause, requests.exceptions.Timeout | httpx.TimeoutException):
        raise NoAnswer(LATE, sent=True) from error
    if isinstance(cause, requests.exceptions.ConnectionError):
        raise NoAnswer(_innermost(cause), sent=not _never_connected(cause)) from error
    if isinstance(cause, httpx.ConnectError):
        raise NoAnswer(_innermost(cause), sent=False) from error
    if isinstance(cause, requests.JSONDecodeError):
        raise NoAnswer(NOT_NOMAD, sent=True) from error
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


def told(
    error: Answer | NoAnswer, access: Access, doing: str, right: str = "", token: Token = "good"
) -> DriverUnavailable:
    """As people read it. `doing`: what was asked ("start attempt x"); `right`: what the token must be allowed for
    it; `token`: what is known of it where it was refused. Up to its first colon a message says what is wrong for
    everybody, after it, for whom. All of it may work later: a token or a right that is missing is given by a person,
    and what waits for it goes on then."""
    if isinstance(error, NoAnswer):
        return _unanswered(error, access, doing)
    if error.foreign:
        return _between(error, access, doing)
    if error.status == 403:
        return _forbidden(error, access, doing, right, token)
    if NOT_PLAIN in error.text:
        return DriverUnavailable(
            f"Nomad at {access.address} wants TLS: it was to {doing}.",
            hint="Let NOMAD_ADDR begin with https://, and give NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY.",
            code="nomad.tls",
        )
    if NO_REGION in error.text:
        return DriverUnavailable(
            f"Nomad knows no region {access.region or 'of its own'}: it could not {doing}.",
            hint="Look at NOMAD_REGION (`nomad server members` names the regions), or leave it out.",
            code="nomad.region",
        )
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
    if NO_LEADER in error.text or NEW_LEADER in error.text:
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
    if error.why.startswith(TLS):
        return _untrusted(error.why.removeprefix(TLS), access, doing)
    if error.why == LATE:
        return DriverUnavailable(
            f"Nomad at {access.address} is silent: it was to {doing}, and did not answer in time.",
            hint="Whether it was done is found out by itself.",
            code="nomad.silent",
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


def _between(error: Answer, access: Access, doing: str) -> DriverUnavailable:
    """A proxy, or another program at Nomad's address."""
    if error.location:
        return DriverUnavailable(
            f"What answers at {access.address} sends elsewhere, where Winslow does not follow with its token: to "
            f"{error.location[:200]}. It was to {doing}.",
            hint="Let NOMAD_ADDR be the address of Nomad itself, or the one it sends to.",
            code="nomad.proxy",
        )
    said = error.gist if error.gist.startswith(str(error.status)) else f"{error.status} {error.gist}".strip()
    return DriverUnavailable(
        f"What stands between Winslow and Nomad at {access.address} refuses: {said}. It was to {doing}.",
        hint="Look at that proxy, and whether it reaches Nomad; stages that run go on. It is tried again by itself.",
        code="nomad.proxy",
    )


def _untrusted(why: str, access: Access, doing: str) -> DriverUnavailable:
    """Either side may refuse the other."""
    if "wrong version number" in why or "record layer failure" in why:
        return DriverUnavailable(
            f"Nomad at {access.address} speaks no TLS: it was to {doing}.",
            hint="Let NOMAD_ADDR begin with http://, or give Nomad a certificate (nomad/tls.hcl).",
            code="nomad.tls",
        )
    hung_up = "EOF occurred" in why  # some say no more than that
    if "alert" in why or hung_up:
        own = "does not take Winslow's certificate" if access.certificate else "wants a certificate of Winslow's"
        return DriverUnavailable(
            f"Nomad at {access.address} {own}: {'it hung up' if hung_up else why[:200]}. It was to {doing}.",
            hint="Give NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY: `nomad tls cert create -cli`, by Nomad's own authority."
            + (" If it worked before: it has too many connections from here." if hung_up else ""),
            code="nomad.tls",
        )
    return DriverUnavailable(
        f"Nomad at {access.address} was not trusted: {why[:200]}. It was to {doing}.",
        hint="Look at NOMAD_CACERT and NOMAD_TLS_SERVER_NAME, such as server.global.nomad.",
        code="nomad.tls",
    )


def _forbidden(error: Answer, access: Access, doing: str, right: str, token: Token) -> DriverUnavailable:
    if REGISTRATION_OFF in error.text:
        return DriverUnavailable(
            "Nomad's operators have switched off the registration of jobs.",
            hint="It goes on by itself once `RejectJobRegistration` is off again.",
            code="nomad.registration_off",
        )
    if EXPIRED in error.text:
        token = "expired"
    elif UNKNOWN in error.text:
        token = "unknown"
    if token == "good":
        return DriverUnavailable(
            f"Nomad's token lacks {right or 'a right'}: it may not {doing}.",
            hint="Add it to the token's policy; what waits goes on by itself then.",
            code="nomad.forbidden",
        )
    said = {
        "none": "Nomad wants a token",
        "unknown": "Nomad does not know Winslow's token",
        "expired": "The token for Nomad has expired",
    }
    return DriverUnavailable(
        f"{said[token]}: it refuses to {doing}.",
        hint=f"Make one (nomad acl token create -name winslow -policy winslow), and {_put(access)}.",
        code="nomad.token",
    )


def _put(access: Access) -> str:
    if access.token_file:
        return f"write its Secret ID into {access.token_file}; what waits goes on by itself then"
    return "start Winslow with its Secret ID as NOMAD_TOKEN; stages that run do not notice"
