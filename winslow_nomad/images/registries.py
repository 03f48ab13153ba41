"""core.images.Images over HTTP: what a name stands for at its registry, in two to five small requests.

Reads only, by the OCI distribution API. Passwords go to the registry that they are for, and to the token service that
it names, over TLS unless the installation calls that registry insecure; they are in no error and in no log. Whatever a
registry answers is checked: sizes, kinds, and that a document has the digest it was asked for by.

httpx and not a library of its own for registries: those on PyPI (oras, python-dxf) are made for pushing and pulling
whole images, tell a denial from a missing image by nothing but a text, and know no deadline for the whole of a look."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ipaddress
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import httpx

from winslow_nomad import __version__
from winslow_nomad.core.errors import ImageRefused, RegistryUnavailable, WinslowError
from winslow_nomad.core.images import ARCHITECTURES, HUB, Image, Reference, parse
from winslow_nomad.images import manifests
from winslow_nomad.images.manifests import Configuration

CONNECT = 2.0  # seconds until a connection is given up
ANSWER = 4.0  # seconds without a byte of an answer
WHOLE = 8.0  # seconds after which no further request of a look is begun
FRESH = 2.0  # seconds that an answer is good for: the points of a sweep start together; who pushes and redoes is slower
TRIES = 3
PAUSE = 0.2  # seconds before the second try; the third waits longer
PATIENT = 1.0  # seconds that a registry may ask us to wait within a look
LEFT_ALONE = 60.0  # seconds that a registry is left alone which takes no more requests and does not say for how long
LONGEST = 300.0  # seconds that it may ask for
PASSING = frozenset({429, 500, 502, 503, 504})
LARGEST = 4 * 1024 * 1024  # bytes of a document, which registries need not keep larger either
REDIRECTIONS = 5
KEPT = 1000  # configurations: they never change
HUB_API = "registry-1.docker.io"
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST")  # as OpenSSL says it
FAULTS = (httpx.HTTPError, httpx.InvalidURL)


@dataclass(frozen=True)
class Site:
    """Registries, as this installation sees them. `insecure`: hosts that may speak plain HTTP, or TLS with any
    certificate; those of this machine always may. `unasked`: hosts that only the nodes reach: names there are
    used as they are. `authority`: a file with certificates (PEM) that are trusted beside those of the system."""

    insecure: Collection[str] = ()
    unasked: Collection[str] = ()
    authority: str = ""


class Login(NamedTuple):
    user: str
    password: str


class Registries:
    """`login`: what is stored for a host; `answer`: seconds without a byte of an answer. Used by several threads."""

    def __init__(
        self,
        site: Site,
        login: Callable[[str], Login | None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        answer: float = ANSWER,
    ) -> None:
        self._site = site
        self.login = login
        self.monotonic = monotonic
        self.pause = pause
        self._answer = answer
        self._clients: dict[bool, httpx.Client] = {}
        self._guard = threading.Lock()
        self._found: dict[str, tuple[float, Image]] = {}
        self._configurations: dict[str, Configuration] = {}
        self._left_alone: dict[str, float] = {}

    def close(self) -> None:
        with self._guard:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def look(self, name: str) -> Image | None:
        reference = parse(name)
        if reference is None or reference.host in self._site.unasked:
            return None
        known = self._found.get(name)
        if known is not None and self.monotonic() - known[0] < FRESH:
            return known[1]
        began = self.monotonic()
        image = _image(name, reference, self.visit(reference.host, reference.repository, name), self._configurations)
        with self._guard:
            if len(self._found) >= KEPT:
                self._found.clear()
            if len(self._configurations) >= KEPT:
                self._configurations.clear()
            self._found[name] = began, image
        return image

    def greet(self, host: str) -> None:
        """Ask whether it is one, and takes our log-in. Raises ImageRefused, RegistryUnavailable."""
        self.visit(host, "", "").get("/v2/")

    def visit(self, host: str, repository: str, name: str) -> Visit:
        """Raises RegistryUnavailable where it is not to be asked for a while."""
        if self.monotonic() < self._left_alone.get(host, 0.0):
            raise _busy(host)
        return Visit(self, host, repository, name)

    def insecure(self, host: str) -> bool:
        return host in self._site.insecure or _of_this_machine(host)

    def leave_alone(self, host: str, seconds: float) -> None:
        self._left_alone[host] = self.monotonic() + min(seconds, LONGEST)

    def client(self, *, verified: bool) -> httpx.Client:
        with self._guard:
            if verified not in self._clients:
                self._clients[verified] = httpx.Client(
                    verify=self._context() if verified else False,
                    timeout=httpx.Timeout(self._answer, connect=CONNECT),
                    headers={"user-agent": f"winslow/{__version__}"},
                    follow_redirects=False,
                )
            return self._clients[verified]

    def _context(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context()
        if self._site.authority:
            try:
                context.load_verify_locations(cafile=self._site.authority)
            except (OSError, ssl.SSLError) as error:
                raise RegistryUnavailable(
                    f"The certificates in {self._site.authority} cannot be read: {error}. No registry was asked.",
                    hint="Name a file in PEM format in ca_cert of [registries].",
                    code="registry.certificate",
                ) from error
        return context


def _image(name: str, reference: Reference, visit: Visit, known: dict[str, Configuration]) -> Image:
    body, kind = visit.manifest(reference.wanted)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    try:
        document = manifests.read(body)
        if manifests.is_index(document, kind):
            found = {a: _configuration(visit, d, known) for a, d in manifests.variants(document).items()}
        else:
            one = _of_manifest(visit, document, known)
            found = {one.architecture: one}
    except ValueError as error:
        raise ImageRefused(
            f"the image {name} cannot be used: {error}.",
            hint="Push it again, with a newer docker.",
            code="image.unusable",
        ) from None
    usable = [found[a] for a in ARCHITECTURES if a in found]
    if not usable:
        for_ = ", ".join(found) or "something else"
        raise ImageRefused(
            f"the image {name} is for {for_}, and stages run on {' and '.join(ARCHITECTURES)} (Linux).",
            hint="Build it for them (docker buildx build --platform linux/amd64).",
            code="image.architecture",
        )
    first = usable[0]
    return Image(
        name=name,
        digest=digest,
        entrypoint=first.entrypoint,
        command=first.command,
        directory=first.directory,
        user=first.user,
        architectures=tuple(c.architecture for c in usable if c.like(first)),
    )


def _configuration(visit: Visit, digest: str, known: dict[str, Configuration]) -> Configuration:
    """Of one variant."""
    body, kind = visit.manifest(digest)
    document = manifests.read(body)
    if manifests.is_index(document, kind):
        raise ValueError("it lists a list")
    return _of_manifest(visit, document, known)


def _of_manifest(visit: Visit, manifest: manifests.Document, known: dict[str, Configuration]) -> Configuration:
    digest = manifests.configuration_of(manifest)
    if digest not in known:
        known[digest] = manifests.configuration(manifests.read(visit.blob(digest)))
    return known[digest]


class Visit:
    """One look at one registry, within a deadline. `name`: of the image that is looked for, as people know it."""

    def __init__(self, registries: Registries, host: str, repository: str, name: str) -> None:
        self._registries = registries
        self._host = host
        self._repository = repository
        self._name = name
        self._insecure = registries.insecure(host)
        self._schemes = ["https", "http"] if self._insecure else ["https"]
        self._authorization = ""
        self._deadline = registries.monotonic() + WHOLE

    def manifest(self, wanted: str) -> tuple[bytes, str]:
        """The document of a tag or digest, and its kind as the answer says it."""
        answer = self.get(f"/v2/{self._repository}/manifests/{wanted}", {"accept": manifests.ACCEPT})
        if wanted.startswith("sha256:"):
            self._same(wanted, answer.body)
        elif (told := answer.headers.get("docker-content-digest", "")).startswith("sha256:"):
            self._same(told, answer.body)
        return answer.body, answer.headers.get("content-type", "")

    def blob(self, digest: str) -> bytes:
        body = self.get(f"/v2/{self._repository}/blobs/{digest}").body
        self._same(digest, body)
        return body

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Raises ImageRefused, RegistryUnavailable."""
        wanted = dict(headers or {})
        answer = self._ask(path, wanted)
        if answer.status == 401 and not self._authorization:
            self._authorization = self._authorize(answer.headers.get("www-authenticate", ""))
            answer = self._ask(path, wanted)
        if answer.status == 200:
            return answer
        raise self._refusal(answer)

    # --- one request

    def _ask(self, path: str, headers: Mapping[str, str]) -> Answer:
        """To the registry itself; over plain HTTP only where it is insecure, and speaks no TLS."""
        address = HUB_API if self._host == HUB else self._host
        while True:
            scheme = self._schemes[0]
            try:
                return self._tried(f"{scheme}://{address}{path}", headers)
            except FAULTS as error:
                other_may_do = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException)
                if len(self._schemes) == 1 or not other_may_do:
                    raise self._away(error) from error
                self._schemes.pop(0)

    def _tried(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Once more where the other side has a passing trouble."""
        for last in range(TRIES - 1, -1, -1):
            answer = self._followed(url, {**headers, **self._authorized})
            if answer.status not in PASSING:
                return answer
            wait = _seconds(answer.headers.get("retry-after", ""))
            if answer.status == 429 and (wait is None or wait > PATIENT):
                self._registries.leave_alone(self._host, wait or LEFT_ALONE)
                raise _busy(self._host)
            if not last or (wait or 0.0) > PATIENT:
                break
            self._registries.pause(max(wait or 0.0, PAUSE * (TRIES - last)))
        raise RegistryUnavailable(
            f"The registry {self._host} answers HTTP {answer.status}{_said(answer.body)}.",
            hint="It is tried again by itself.",
        )

    @property
    def _authorized(self) -> dict[str, str]:
        return {"authorization": self._authorization} if self._authorization else {}

    def _followed(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Blobs may lie elsewhere, where nobody needs to know who we are."""
        sent = dict(headers)
        for _ in range(REDIRECTIONS):
            answer = self._sent(url, sent)
            target = answer.headers.get("location", "")
            if answer.status not in (301, 302, 303, 307, 308) or not target:
                return answer
            before = httpx.URL(url)
            after = before.join(target)
            url = str(after)
            if after.scheme not in ("http", "https") or (after.scheme == "http" and before.scheme == "https"):
                break
            if (after.host, after.port, after.scheme) != (before.host, before.port, before.scheme):
                sent.pop("authorization", None)
        raise RegistryUnavailable(
            f"The registry {self._host} sends us round in circles, or away from TLS.",
            hint="It is tried again by itself.",
        )

    def _sent(self, url: str, headers: Mapping[str, str], **more: object) -> Answer:
        if self._registries.monotonic() > self._deadline:
            raise httpx.ReadTimeout("the whole look took too long")
        client = self._registries.client(verified=not self._insecure)
        with client.stream("GET", url, headers=dict(headers), **more) as response:  # type: ignore[arg-type]
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise ImageRefused(
                        f"the image {self._name} cannot be used: it is described by more than {LARGEST >> 20} MiB.",
                        hint="Look at the registry: something else than a registry may answer there.",
                        code="image.unusable",
                    )
            return Answer(response.status_code, response.headers, body)

    # --- who we are

    def _authorize(self, challenge: str) -> str:
        """The header for what the registry asks for. Raises ImageRefused, RegistryUnavailable."""
        login = self._registries.login(self._host)
        scheme, asked = _challenge(challenge)
        if scheme == "basic" and login is not None:
            return _basic(login)
        if scheme != "bearer":
            raise self._denied(None)
        realm = asked.get("realm", "")
        if not realm.startswith("https://") and not (self._insecure and realm.startswith("http://")):
            raise RegistryUnavailable(
                f"The registry {self._host} wants a token of {realm[:200]!r}, which is not over TLS. Nothing was sent.",
                hint="Configure it with an https address of its token service.",
            )
        scope = f"repository:{self._repository}:pull" if self._repository else ""
        parameters = {"service": asked.get("service", ""), "scope": asked.get("scope", scope), "client_id": "winslow"}
        if login is not None:
            parameters["account"] = login.user
        headers = {"authorization": _basic(login)} if login is not None else {}
        try:
            url = httpx.URL(realm).copy_merge_params({k: v for k, v in parameters.items() if v})
            answer = self._tried(str(url), headers)
        except FAULTS as error:
            raise self._away(error) from error
        if answer.status in (400, 401, 403):
            raise self._denied(answer)
        token = _token(answer)
        if not token:
            raise RegistryUnavailable(
                f"The token service of the registry {self._host} answers HTTP {answer.status} and no token.",
                hint="It is tried again by itself.",
            )
        return f"Bearer {token}"

    # --- what is wrong

    def _same(self, digest: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != digest.removeprefix("sha256:"):
            raise ImageRefused(
                f"the image {self._name} cannot be used: its registry answers with something else than {digest}.",
                hint="Its storage is damaged, or something between changes answers: push the image again.",
                code="image.unusable",
            )

    def _refusal(self, answer: Answer) -> WinslowError:
        if answer.status in (401, 403):
            return self._denied(answer)
        if answer.status == 404 and self._repository:
            return ImageRefused(
                f"there is no image {self._name} at its registry{_said(answer.body)}.",
                hint="Look for a slip in its name or tag; once it is pushed the stage starts by itself.",
                code="image.not_found",
            )
        return RegistryUnavailable(
            f"The registry {self._host} answers HTTP {answer.status}{_said(answer.body)}.",
            hint="It is tried again by itself.",
        )

    def _denied(self, answer: Answer | None) -> ImageRefused:
        login = self._registries.login(self._host)
        said = _said(answer.body) if answer is not None else ""
        what = f"the image {self._name}" if self._name else "anything"
        if login is None:
            return ImageRefused(
                f"the registry {self._host} does not show {what} to somebody without a log-in{said}.",
                hint=f"An administrator gives Winslow one: winslow registries set {self._host} --user NAME. Nodes need "
                "their own (docs/cluster.md).",
                code="image.denied",
            )
        return ImageRefused(
            f"the registry {self._host} does not show {what} to {login.user}{said}.",
            hint=f"Is the password right? winslow registries set {self._host} --user NAME; or give that user the right "
            "to pull.",
            code="image.denied",
        )

    def _away(self, error: httpx.HTTPError | httpx.InvalidURL) -> RegistryUnavailable:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            return RegistryUnavailable(
                f"The certificate of the registry {self._host} is not trusted: {cause.verify_message}.",
                hint="Name the authority's file in ca_cert of [registries], or the host in `insecure`.",
                code="registry.certificate",
            )
        if any(word in str(error) for word in NO_TLS):
            return RegistryUnavailable(
                f"The registry {self._host} speaks no TLS. Nothing was sent.",
                hint="Give it a certificate; or, where nobody else shares the network, name it in `insecure` of"
                " [registries], and in docker's insecure-registries on the nodes.",
                code="registry.no_tls",
            )
        if isinstance(error, httpx.TimeoutException):
            return RegistryUnavailable(
                f"The registry {self._host} does not answer.",
                hint="It is tried again by itself.",
                code="registry.silent",
            )
        said = str(error).strip().rstrip(".") or type(error).__name__
        return RegistryUnavailable(
            f"The registry {self._host} cannot be reached: {said[:200]}.",
            hint="It is tried again by itself.",
            code="registry.unavailable",
        )


class Answer(NamedTuple):
    status: int
    headers: httpx.Headers
    body: bytes


def _busy(host: str) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"The registry {host} takes no more requests for now (HTTP 429).",
        hint="It is tried again by itself, when the registry allows it; a log-in often allows more.",
        code="registry.busy",
    )


def _of_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if re.search(r":[0-9]+\Z", host) else host
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    return name == "localhost"


_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


def _challenge(header: str) -> tuple[str, dict[str, str]]:
    """Scheme and parameters of WWW-Authenticate; `bearer` where there are several."""
    for scheme in ("bearer", "basic"):
        found = re.search(rf"(?:^|,\s*){scheme}(?:\s+|$)", header, re.IGNORECASE)
        if found is not None:
            rest = re.split(r",\s*(?:Basic|Bearer|Negotiate|NTLM)\s", header[found.end() :], flags=re.IGNORECASE)[0]
            parameters = _PARAMETER.finditer(rest)
            return scheme, {p[1].lower(): re.sub(r"\\(.)", r"\1", p[2] or p[3] or "") for p in parameters}
    return "", {}


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


def _token(answer: Answer) -> str:
    with contextlib.suppress(ValueError):
        found = manifests.read(answer.body) if answer.status == 200 else {}
        token = found.get("token") or found.get("access_token")
        return token if isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token) else ""
    return ""


def _said(body: bytes) -> str:
    """The registry's own words, if it has some."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
        first = manifests.read(body)["errors"][0]
        text = " ".join(str(first.get("message") or first.get("code") or "").split())[:200]
        return f" ({text})" if text and text.isprintable() else ""
    return ""


def _seconds(header: str) -> float | None:
    """Of Retry-After; None: it is not there, or a date, which clocks may see differently."""
    return float(header) if re.fullmatch(r"[0-9]{1,6}", header.strip()) else None
