"""Which server is meant, and with which token: from the call, the environment, or a context that was stored by log-in.

A context is a server's address with a token, under a name. They lie in one file that only its owner can read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from winslow_nomad.client.wire import checked_url
from winslow_nomad.core.errors import Invalid, NotFound, Refused, Unidentified
from winslow_nomad.core.model import Record, Value
from winslow_nomad.core.suggest import suggestion

LOCAL = "local"  # not a server: the data directory of this machine
HINT = "See docs/settings.md, or log in anew with: winslow login URL"


class Context(Record):
    """`authority`: a file with certificates (PEM) that are trusted for it. `user`: whose token it is."""

    url: str
    token: str
    authority: str = ""
    user: str = ""


class Book(Record):
    """`current`: the one that is meant where none is named; empty: this machine."""

    format: int = 1
    current: str = ""
    contexts: dict[str, Context] = {}


class Chosen(Value):
    """`name`: of the context; empty: named by the environment or the call."""

    name: str = ""
    url: str
    token: str = ""
    authority: str = ""


def place(environ: Mapping[str, str] | None = None) -> Path:
    env = os.environ if environ is None else environ
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or "/") / ".config")
    return Path(base) / "winslow" / "contexts.json"


def read(environ: Mapping[str, str] | None = None) -> Book:
    """Raises Invalid, and Refused where others can read it."""
    file = place(environ)
    try:
        mode = file.stat().st_mode
        book = Book.model_validate_json(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Book()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it was changed by hand, and wrongly"
        raise Invalid(f"{file} cannot be read: {why}.", hint=HINT, code="context.unreadable") from error
    if stat.S_IMODE(mode) & 0o077:
        raise Refused(
            f"{file} holds tokens, and others can read it; it was not used.",
            hint=f"Withdraw the tokens if somebody may have read them, then: chmod 600 {file}",
            code="context.open",
        )
    return book


def write(book: Book, environ: Mapping[str, str] | None = None) -> None:
    """Whole, and for its owner alone from its first moment on."""
    file = place(environ)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            json.dump(book.model_dump(mode="json"), stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as error:
        raise Refused(
            f"{file} cannot be written: {error.strerror}. The log-in was not stored.",
            hint="Name a directory of your own in XDG_CONFIG_HOME.",
            code="context.unwritable",
        ) from error


def named(book: Book, name: str) -> Context:
    if name not in book.contexts:
        hint = suggestion(name, book.contexts, "See winslow contexts.")
        raise NotFound(f"There is no context {name[:100]!r}.", hint=hint, code="context.not_found")
    return book.contexts[name]


def choose(context: str = "", environ: Mapping[str, str] | None = None) -> Chosen | None:
    """The server that is meant; None: the data directory of this machine.

    In this order: `context`, WINSLOW_URL, WINSLOW_CONTEXT, WINSLOW_HOME (which means this machine), the context that
    was made or chosen last."""
    env = os.environ if environ is None else environ
    url = env.get("WINSLOW_URL", "")
    if url and not context:
        return _of_environment(checked_url(url), env)
    name = context or env.get("WINSLOW_CONTEXT", "")
    if name == LOCAL or (not name and env.get("WINSLOW_HOME")):
        return None
    book = read(env)
    name = name or book.current
    if not name:
        return None
    found = named(book, name)
    return Chosen(name=name, url=found.url, token=found.token, authority=env.get("WINSLOW_CA") or found.authority)


def _of_environment(url: str, env: Mapping[str, str]) -> Chosen:
    token = env.get("WINSLOW_TOKEN", "")
    authority = env.get("WINSLOW_CA", "")
    if not token:  # perhaps somebody has logged in there
        for known in read(env).contexts.values():
            if known.url == url:
                token, authority = known.token, authority or known.authority
                break
    if not token:
        raise Unidentified(
            f"There is no token for {url}.",
            hint=f"Put one into WINSLOW_TOKEN, or log in: winslow login {url}",
            code="session.no_token",
        )
    return Chosen(url=url, token=token, authority=authority)
