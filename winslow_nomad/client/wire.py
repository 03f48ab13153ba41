"""One connection to a server: the token, TLS, deadlines, and what may be tried again.

Reading is tried again, and so is a command, since it carries a key under which the server does it once. Anything else
is sent once. Never follows a redirection: the token goes to the address that was named and nowhere else."""

from __future__ import annotations

import contextlib
import copy
import random
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from winslow_nomad import __version__
from winslow_nomad.client.answers import error_of, retry_after
from winslow_nomad.core.errors import Invalid, Unavailable, Unidentified, WinslowError

PREFIX = "/api/v1"
T = TypeVar("T")
CONNECT = 5.0  # seconds
ANSWER = 60.0  # seconds without a byte; a long poll takes up to 25
PATIENCE = 5.0  # seconds in which something is tried again: a restart of the server takes less
FIRST, LONGEST = 0.1, 2.0  # seconds between two tries
NO_TLS = "WRONG_VERSION_NUMBER"  # how OpenSSL says it
NO_NAME = ("Name or service not known", "No address associated", "nodename nor servname")
PASSING = frozenset({502, 503, 504})  # of proxies, and of a server that is about to end


class Wire:
    """`token` empty: nobody, for what is open to all. `authority`: a file with certificates (PEM) that are trusted
    beside those of the system. Used by several threads."""

    def __init__(self, url: str, token: str = "", *, authority: str = "", patience: float = PATIENCE) -> None:
        self.url = checked_url(url)
        self.patience = patience
        self._server = ""
        self._token = bool(token)
        headers = {"user-agent": f"winslow/{__version__}", "accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {checked_token(token)}"
        self.http = httpx.Client(
            base_url=self.url,
            headers=headers,
            verify=trusted(authority) if self.url.startswith("https:") else True,
            timeout=httpx.Timeout(ANSWER, connect=CONNECT),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
            follow_redirects=False,
        )

    def close(self) -> None:
        self.http.close()

    def with_patience(self, seconds: float) -> Self:
        """The same connection, for work that a longer absence of the server must not end."""
        other = copy.copy(self)
        other.patience = seconds
        return other

    # --- asking

    def get(self, path: str, params: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        return self.ask("GET", path, params=params, again=True, **more)

    def read(self, kind: type[T], path: str, params: Mapping[str, Any] | None = None) -> T:
        """What is there, as a value."""
        found: T = self.value(kind, self.get(path, params))
        return found

    def command(self, path: str, body: Any, *, key: str, method: str = "POST", **headers: str) -> httpx.Response:
        """Done once, however often it is sent."""
        return self.ask(method, path, json=body, headers={"idempotency-key": key, **headers}, again=True)

    def ask(
        self, method: str, path: str, *, again: bool = False, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Raises what the answer says, and Unavailable. `again`: it may be sent a second time."""
        path = path if path.startswith("/") else f"{PREFIX}/{path}"
        deadline, pause = time.monotonic() + self.patience, FIRST
        while True:
            response, lost, wait = None, None, 0.0
            try:
                response = self.http.request(method, path, headers=dict(headers or {}), **more)
                wait = self._wait_of(response) if again else 0.0
                if not wait:
                    return self.checked(response)
            except httpx.TransportError as error:
                lost = error
                if not again or hopeless(error):
                    self.away(error)
            pause = max(wait, pause)
            if time.monotonic() + pause > deadline:
                if response is None:
                    self.away(lost)
                return self.checked(response)
            time.sleep(pause * random.uniform(0.7, 1.0))
            pause = min(pause * 2, LONGEST)

    @staticmethod
    def _wait_of(response: httpx.Response) -> float:
        """Seconds after which asking again makes sense; 0: the answer counts."""
        if response.status_code in PASSING:
            return FIRST
        return max(retry_after(response), FIRST) if response.status_code == 429 else 0.0

    @contextlib.contextmanager
    def stream(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; tried once. Raises as `ask`, while it is read too."""
        try:
            with self.http.stream(method, f"{PREFIX}/{path}", headers=dict(headers or {}), **more) as response:
                if response.status_code >= 300 and response.status_code != 304:
                    response.read()
                yield self.checked(response)
        except httpx.TransportError as error:
            self.away(error)

    def checked(self, response: httpx.Response) -> httpx.Response:
        if response.has_redirect_location:
            raise Invalid(
                f"{self.url} leads to {response.headers.get('location', 'elsewhere')[:200]}.",
                hint="Use that address, if you trust it.",
                code="server.moved",
            )
        if response.status_code >= 400:
            error = error_of(response)
            if response.status_code == 401 and self._token:
                raise Unidentified(
                    f"The token is not valid at {self.url} (any more): withdrawn, expired, or of another server. "
                    "Nothing was done.",
                    hint=f"Log in again: winslow login {self.url}",
                    code=error.code,
                ) from error
            wordless = response.request.method == "HEAD"  # without words nobody can tell what it is that is not there
            if not wordless and response.status_code in (404, 405) and error.code in ("not_found", "request.method"):
                raise self._skewed("does not know what was asked for") from error  # no such route
            raise error
        return response

    def value(self, kind: Any, response: httpx.Response) -> Any:
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            if "json" not in response.headers.get("content-type", ""):
                raise Invalid(
                    f"What answers at {self.url} is no Winslow.", hint="Look at the address.", code="server.other"
                ) from error
            raise self._skewed("answers what this one does not understand") from error

    # --- what goes wrong

    def _skewed(self, what: str) -> WinslowError:
        server = self.server()
        versions = f"It is Winslow {server}, and this is {__version__}" if server else f"This is Winslow {__version__}"
        return WinslowError(
            f"The server at {self.url} {what}. {versions}; nothing was changed here.",
            hint="Install the version of the server." if server != __version__ else "Please report it.",
            code="server.version",
        )

    def server(self) -> str:
        """Its version; empty where that cannot be told."""
        if not self._server:
            with contextlib.suppress(httpx.HTTPError, ValueError, AttributeError):
                found = self.http.get(f"{PREFIX}/about").json()
                self._server = str(found.get("version") or "")[:40]
        return self._server

    def away(self, error: httpx.TransportError | None) -> NoReturn:
        assert error is not None
        why = _why(error)
        if is_about_trust(error):
            raise Invalid(
                f"{self.url} cannot be trusted: {why}. Nothing was sent.",
                hint="If its certificate is signed by an authority of your own, name that one's file in WINSLOW_CA.",
                code="server.certificate",
            ) from error
        raise Unavailable(
            f"The server at {self.url} cannot be reached: {why}.",
            hint=(
                "Write http:// instead of https:// if it has no certificate."
                if NO_TLS in str(error)
                else "What was acknowledged is safe, and repeating is safe. Look whether it runs, and at the address."
            ),
            code="server.away",
        ) from error


def checked_url(text: str) -> str:
    """Where a server is, without a slash at its end. Raises Invalid."""
    try:
        url = httpx.URL(text.strip())
        good = url.scheme in ("http", "https") and bool(url.host) and not url.userinfo and not url.query
        good = good and url.path in ("", "/")
    except (httpx.InvalidURL, UnicodeError):
        good = False
    if not good:
        raise Invalid(
            f"{text[:200]!r} is no address of a server. Nothing was sent.",
            hint="Write it as https://winslow.example.org, with a port if it has one, and with nothing after that.",
            code="server.address",
        )
    return f"{url.scheme}://{url.netloc.decode()}"


def checked_token(token: str) -> str:
    token = token.strip()
    if not token.startswith("wn_") or not token.isascii() or not all(c.isalnum() or c == "_" for c in token):
        raise Invalid(
            "What was given as the token is none.",
            hint="A token begins with wn_; the page Account makes one, and so does winslow login.",
            code="server.token",
        )
    return token


def trusted(authority: str) -> ssl.SSLContext:
    """Those whom the system trusts (SSL_CERT_FILE counts), and `authority`. Raises Invalid."""
    context = ssl.create_default_context()
    if authority:
        try:
            context.load_verify_locations(Path(authority).expanduser())
        except OSError as error:  # ssl.SSLError is one
            raise Invalid(
                f"The certificates in {authority} cannot be read: {error.strerror or error}.",
                hint="WINSLOW_CA names a file in the form PEM.",
                code="server.authority",
            ) from error
    return context


def is_about_trust(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _why(error: httpx.TransportError) -> str:
    """Without the numbers and the places in source code that libraries put around it."""
    text = str(error).strip().rstrip(".")
    if NO_TLS in text:
        return "what answers there does not speak TLS"
    if any(n in text for n in NO_NAME):
        return "nobody knows a machine of that name"
    return re.sub(r"^\[Errno -?\d+\] |^\[SSL: \w+\] | \(_ssl\.c:\d+\)$", "", text) or type(error).__name__


def hopeless(error: httpx.TransportError) -> bool:
    """Another try would meet the same: a name that nobody knows, no TLS, a certificate that is not trusted."""
    known = (*NO_NAME, NO_TLS)
    return is_about_trust(error) or isinstance(error, httpx.UnsupportedProtocol) or any(n in str(error) for n in known)
