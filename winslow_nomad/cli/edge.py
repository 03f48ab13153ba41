"""The outermost wall of the command line: errors become one sentence and an exit code.

A person never sees a traceback: what nobody foresaw is written to a file of its own and named. Imports
only typer and the standard library, since it is loaded by `winslow --help`."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

SUCCEEDED = 0
FAILED = 1
USAGE = 2
WAITING = 3
STOPPED = 4
UNREACHABLE = 5
UNFORESEEN = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE


class Wall(TyperGroup):
    """Runs the chosen command; whatever it raises leaves as an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted. What was acknowledged before stays.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # whoever read us has gone (`| head`): nothing may be written at exit either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None
        except Exception as error:  # the one place where all errors end
            code = exit_code(error)
            if code is None:
                raise
            raise typer.Exit(code) from None


def exit_code(error: Exception) -> int | None:
    """Tell the person, and answer the exit code. None: it is the parser's own, or an orderly end."""
    from winslow_nomad.core.errors import Unavailable, WinslowError

    if isinstance(error, WinslowError):
        say(f"{error} [{error.code}]")
        return UNREACHABLE if isinstance(error, Unavailable) else USAGE
    if isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "exit_code"):
        return None
    if type(error).__module__.startswith("pydantic"):
        say(f"{_first_mistake(error)} [invalid]")
        return USAGE
    say(
        f"something happened that nobody foresaw ({type(error).__name__}). What was acknowledged before stays. "
        f"{_keep(error)} [unforeseen]"
    )
    return UNFORESEEN


def say(text: str) -> None:
    """One message on stderr, without signs that would steer the terminal."""
    from winslow_nomad.cli.words import safe

    sys.stdout.flush()
    for line in f"winslow: {text}".split("\n"):
        sys.stderr.write(safe(line) + "\n")
    sys.stderr.flush()


def _first_mistake(error: Any) -> str:
    mistake = error.errors()[0]
    place = ".".join(str(p) for p in mistake["loc"])
    return f"{place}: {mistake['msg']}." if place else f"{mistake['msg']}."


def _keep(error: Exception) -> str:
    try:
        handle, path = tempfile.mkstemp(prefix="winslow-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as problem:
        return f"The details could not be written: {problem.strerror}."
    return f"The details are in {path}; please report them."
