"""The outermost wall of the command line: errors become one sentence and an exit code.

A person never sees a traceback: what nobody foresaw is written to a file of its own and named. Imports
only typer and the standard library, since it is loaded by `winslow --help`."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
UNWRITTEN = 74  # EX_IOERR
INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE


class Wall(TyperGroup):
    """Runs the chosen command; whatever it raises leaves as an exit code."""

    def make_context(self, *args: Any, **named: Any) -> Any:
        with _wall():
            return super().make_context(*args, **named)

    def invoke(self, ctx: Any) -> Any:
        with _wall():
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # what goes wrong with it is said here, and not by Python after the end


@contextmanager
def _wall() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted. What was acknowledged before stays.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _leave_stdout()  # whoever read us has gone (`| head`)
        raise typer.Exit(PIPE_CLOSED) from None
    except Exception as error:  # the one place where all errors end
        code = exit_code(error)
        if code is None:
            raise
        raise typer.Exit(code) from None


def exit_code(error: Exception) -> int | None:
    """Tell the person, and answer the exit code. None: an orderly end, or help that was not asked for."""
    from winslow_nomad.core.errors import Invalid, Unavailable, WinslowError

    if hasattr(error, "format_message") and type(error).__name__ != "NoArgsIsHelpError":  # the parser's
        error = Invalid(_of_parser(error), hint=f"See {_command(error)} --help.", code="cli.usage")
    if isinstance(error, WinslowError):
        say(f"{error} [{error.code}]")
        return UNREACHABLE if isinstance(error, Unavailable) else USAGE
    if isinstance(error, typer.Exit | typer.Abort) or hasattr(error, "format_message"):
        return None
    if type(error).__module__.startswith("pydantic") and hasattr(error, "errors"):
        say(f"{_first_mistake(error)} [invalid]")
        return USAGE
    if isinstance(error, OSError) and (trouble := _trouble_with_stdout()):
        lost = WinslowError(
            f"stdout cannot be written: {trouble}. What was asked for may have been done; the answer is lost.",
            hint="Look with winslow show or winslow projects.",
            code="cli.output",
        )
        say(f"{lost} [{lost.code}]")
        return UNWRITTEN
    say(
        f"something happened that nobody foresaw ({type(error).__name__}). What was acknowledged before stays. "
        f"{_keep(error)} [unforeseen]"
    )
    return UNFORESEEN


def say(text: str) -> None:
    """One message on stderr, without signs that would steer the terminal."""
    from winslow_nomad.cli.words import safe

    with suppress(OSError):
        sys.stdout.flush()
    for line in f"winslow: {text}".split("\n"):
        sys.stderr.write(safe(line) + "\n")
    sys.stderr.flush()


def _of_parser(error: Any) -> str:
    text = str(error.format_message()).strip()
    return text if text.endswith((".", "?")) else f"{text}."


def _command(error: Any) -> str:
    """`winslow show`"""
    context = getattr(error, "ctx", None)
    return context.command_path if context is not None else "winslow"


class Stdout(io.FileIO):
    """Where answers go. Remembers why it took nothing more, since what failed may be gone from all buffers."""

    trouble = ""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            raise


def _trouble_with_stdout() -> str:
    """Why stdout takes nothing more; empty: it does."""
    with suppress(OSError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, Stdout) or not raw.trouble:
        return ""
    _leave_stdout()
    return raw.trouble


def _leave_stdout() -> None:
    """Nothing more goes there, at exit either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
