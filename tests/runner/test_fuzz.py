"""Any bytes in any file that the runner reads, under sanitizers: an end in words or a refusal, never a crash."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.runner.attempt import PYTHON, Attempt
from tests.waiting import until

CAUSES = {"exit", "exec_failed", "stopped", "killed", "superseded"}
COMMANDS = st.one_of(
    st.binary(max_size=300),
    st.lists(st.binary(max_size=40), max_size=5).map(
        lambda parts: b"".join(p.replace(b"\0", b"") + b"\0" for p in parts)
    ),
    st.just(b"true\0"),
    st.integers(1, 200_000).map(lambda n: b"true\0" + b"x" * n + b"\0"),
)
ENVIRONMENTS = st.one_of(
    st.binary(max_size=600),
    st.lists(st.sampled_from([b"WINSLOW_ATTEMPT=x", b"WINSLOW_OPEN_MODES=1", b"PATH=", b"PATH=::/bin:", b"=", b""]))
    .map(lambda parts: b"".join(part + b"\0" for part in parts)),
    st.integers(1, 200_000).map(lambda n: b"WINSLOW_ATTEMPT=" + b"y" * n + b"\0"),
    st.integers(1, 40_000).map(lambda n: b"PATH=" + b"/nowhere:" * n + b"/bin\0"),
)  # fmt: skip
CONTROLS = st.sampled_from([b"run\n", b"kill\n", b"terminate\n", b"superseded\n", b"run\n\xff\xff", b"kill\njunk"])
CONFINEMENTS = st.one_of(
    st.none(), st.binary(max_size=100), st.just(b"ro:/\0"), st.just(b"rw:/\0"), st.just(b"ro:/bin\0rw:/x")
)
OWNERS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


@contextmanager
def scratch() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="winslow-fuzz-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def unharmed(said: str) -> bool:
    return "Sanitizer" not in said and "runtime error" not in said


def inputs_end_in_words(
    program: Path, command: bytes, environment: bytes, control: bytes, confine: bytes | None, owner: str
) -> None:
    with scratch() as place:
        attempt = Attempt(place / "a", place / "s", [str(program)]).prepare("true")
        (attempt.path / "command").write_bytes(command)
        (attempt.path / "environment").write_bytes(environment)
        (attempt.path / "control").write_bytes(control)
        arguments = ["--owner", owner]
        if confine is not None:
            (place / "confine").write_bytes(confine)
            arguments += ["--confine", str(place / "confine")]
        status, said = attempt.run(*arguments)
        assert unharmed(said), said
        if len(os.fsencode(owner)) > 1024:
            assert status == 125
            return
        assert attempt.end["cause"] in CAUSES and attempt.claim["owner"] == owner
        assert status in (0, 126, 127, 137, 143), said
        assert not (attempt.path / "environment").exists() and not attempt.spool.exists()


QUICK = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=3000)
inputs = given(command=COMMANDS, environment=ENVIRONMENTS, control=CONTROLS, confine=CONFINEMENTS, owner=OWNERS)


def test_any_input_ends_in_words(sanitized: Path) -> None:
    @QUICK
    @inputs
    def check(**drawn: object) -> None:
        inputs_end_in_words(sanitized, **drawn)  # type: ignore[arg-type]

    check()


@pytest.mark.chaos
def test_any_input_ends_in_words_three_thousand_times(sanitized: Path) -> None:
    @LONG
    @inputs
    def check(**drawn: object) -> None:
        inputs_end_in_words(sanitized, **drawn)  # type: ignore[arg-type]

    check()


def test_any_bytes_in_a_found_claim_are_refused_and_kept(sanitized: Path) -> None:
    @QUICK
    @given(st.one_of(st.binary(max_size=2000), st.integers(1, 200_000).map(lambda n: b"x" * n)))
    def check(found: bytes) -> None:
        with scratch() as place:
            attempt = Attempt(place / "a", place / "s", [str(sanitized)]).prepare("true")
            (attempt.path / "claim").write_bytes(found)
            status, said = attempt.run("--owner", "o")
            assert unharmed(said) and status == 90
            assert (attempt.path / "claim").read_bytes() == found and not attempt.ended
            assert found.startswith((attempt.path / "refused-o").read_bytes())

    check()


def test_any_bytes_in_the_progress_file_give_a_whole_heartbeat(sanitized: Path) -> None:
    with scratch() as place:
        attempt = Attempt(place / "a", place / "s", [str(sanitized)]).prepare("sleep", "1000")
        attempt.start("--heartbeat", "0.01")

        def beat() -> dict[str, float]:
            try:
                return json.loads((attempt.path / "heartbeat").read_text())
            except (OSError, ValueError):
                return {}

        @QUICK
        @given(st.one_of(st.binary(max_size=5000), st.text("0123456789.%e-+ \n", max_size=12).map(str.encode)))
        def check(content: bytes) -> None:
            (attempt.path / "progress").write_bytes(content)
            counter = until(lambda: beat().get("counter", 0))
            progress = until(lambda: (b := beat()) and b["counter"] > counter + 1 and b)["progress"]
            assert progress is None or 0 <= progress <= 100

        try:
            check()
        finally:
            attempt.clean_up()


def test_any_writes_on_both_streams_arrive_exactly(sanitized: Path) -> None:
    script = """
import os, sys
data = open("../script", "rb").read()
at = 0
while at < len(data):
    stream, length = data[at], int.from_bytes(data[at + 1 : at + 4], "big"); at += 4
    os.write(stream, data[at : at + length]); at += length
"""

    @QUICK
    @given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=3000)), max_size=20))
    def check(writes: list[tuple[int, bytes]]) -> None:
        with scratch() as place:
            attempt = Attempt(place / "a", place / "s", [str(sanitized)]).prepare(*PYTHON, script)
            pieces = [bytes([stream]) + len(data).to_bytes(3, "big") + data for stream, data in writes]
            (attempt.path / "script").write_bytes(b"".join(pieces))
            status, said = attempt.run()
            assert unharmed(said) and status == 0, said
            for number, stream in ((1, "out"), (2, "err")):
                assert attempt.log(stream) == b"".join(data for at, data in writes if at == number)
            attempt.in_order()

    check()
