"""The command line while servers are killed, lines are cut, and it is killed itself."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.line import Line
from tests.cli.served import Desk
from tests.parts import Parts, parts
from tests.valkey import running_server, server
from tests.waiting import until
from winslow_nomad.cli.interrupt import Interrupt
from winslow_nomad.cli.submit import patiently
from winslow_nomad.client import HttpClient
from winslow_nomad.client.wire import Wire
from winslow_nomad.core import messages as m
from winslow_nomad.core.errors import Unavailable

__all__ = ["parts", "running_server", "server"]
LARGE = 24_000_000  # bytes


@pytest.fixture
def desk(parts: Parts, tmp_path: Path) -> Desk:
    parts.start("serve")
    return Desk(tmp_path, parts, parts.token())


@pytest.fixture
def line(desk: Desk) -> Iterator[Line]:
    made = Line(desk.parts.port)
    desk.environ["WINSLOW_URL"] = made.url
    yield made
    made.close()


def large(desk: Desk) -> tuple[Path, str]:
    file = desk.root / "large one.bin"
    file.write_bytes(os.urandom(LARGE))
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


def arrived(desk: Desk) -> int:
    """Bytes of unfinished uploads on the server's disk."""
    return sum(p.stat().st_size for p in (desk.parts.share / "uploads").glob("*.part"))


def kept(desk: Desk, name: str) -> str:
    return hashlib.sha256((desk.parts.share / "inputs" / name).read_bytes()).hexdigest()


# --- uploads


def test_an_upload_survives_a_server_that_is_killed_in_the_middle(desk: Desk, line: Line) -> None:
    file, digest = large(desk)
    line.rate = 6_000_000
    sending = desk.begins("files", "put", str(file))
    until(lambda: arrived(desk) > LARGE // 2, 40)
    desk.parts.kill("serve")
    desk.parts.start("serve")
    line.rate = 0
    assert sending.wait(60) == 0, sending.communicate()
    assert kept(desk, file.name) == digest and arrived(desk) == 0
    assert line.up < 1.5 * LARGE, "what had arrived was not sent again"


def test_an_upload_that_was_killed_here_goes_on_when_it_is_asked_for_again(desk: Desk, line: Line) -> None:
    file, digest = large(desk)
    line.rate = 6_000_000
    sending = desk.begins("submit", "video.yaml", "--input", str(file), "--name", "resumed")
    until(lambda: arrived(desk) > LARGE // 2, 40)
    sending.kill()
    sending.wait()
    reached = arrived(desk)
    line.rate = line.up = 0
    done = desk.told("submit", "video.yaml", "--input", str(file), "--name", "resumed")
    assert done["project"]["values"]["VIDEO"] == file.name and kept(desk, file.name) == digest
    assert line.up < LARGE - reached + 9_000_000, "it went on where it was"
    assert [p["name"] for p in desk.told("projects")["projects"]] == ["resumed"]


@pytest.mark.chaos
def test_a_line_that_is_cut_again_and_again_gets_on_all_the_same(desk: Desk, line: Line) -> None:
    file, digest = large(desk)
    line.rate = 10_000_000
    sending = desk.begins("files", "put", str(file))
    cuts = 0
    while sending.poll() is None and cuts < 10:
        mark = line.up
        until(lambda least=mark: line.up > least + 5_000_000 or sending.poll() is not None, 40)
        line.cut()
        cuts += 1
    line.rate = 0
    assert sending.wait(90) == 0, sending.communicate()
    assert kept(desk, file.name) == digest and cuts >= 3


def test_a_person_at_a_terminal_sees_how_far_it_is(desk: Desk, line: Line) -> None:
    file, _ = large(desk)
    line.rate = 12_000_000
    person = desk.sits("files", "put", str(file))
    try:
        person.reads("large one.bin", 60)
        person.reads("22.9 MiB", 60)
        until(lambda: person.looks() and re.search(r"1\d\.\d/22\.9 MiB", person.said), 60)
        line.rate = 0
        assert person.ends() == 0, person.said
        assert "large one.bin" in person.said.splitlines()[-1]
    finally:
        person.close()


def test_a_file_that_changes_while_it_is_sent_is_not_kept(desk: Desk, line: Line) -> None:
    file, _ = large(desk)
    line.rate = 8_000_000
    sending = desk.begins("files", "put", str(file))
    until(lambda: arrived(desk) > 0, 40)
    with file.open("r+b") as changing:
        changing.write(b"changed")
    _, err = sending.communicate(timeout=60)
    assert sending.returncode == 2 and "[upload.file_changed]" in err, err
    assert arrived(desk) == 0 and not list((desk.parts.share / "inputs").glob("*"))


@pytest.mark.chaos
def test_two_who_send_the_same_file_at_once_send_it_once(desk: Desk, line: Line) -> None:
    file, digest = large(desk)
    line.rate = 60_000_000
    both = [desk.begins("submit", "video.yaml", "--input", str(file), "--name", f"both {n}") for n in range(2)]
    for one in both:
        assert one.wait(90) == 0, one.communicate()
    values = {desk.told("show", f"both {n}")["project"]["values"]["VIDEO"] for n in range(2)}
    assert values == {file.name} and kept(desk, file.name) == digest
    assert line.up < 1.3 * LARGE


@pytest.mark.chaos
def test_a_folder_appears_whole_and_goes_on_after_a_break(desk: Desk, line: Line) -> None:
    folder = desk.root / "frames"
    folder.mkdir()
    for n in range(30):
        (folder / f"{n:02} ä.bin").write_bytes(os.urandom(1_000_000))
    (desk.root / "folder.yaml").write_text(
        "winslow: 1\nname: folder\nparameters: {FRAMES: {type: folder}}\nstages:\n  - {id: a, command: ['true']}\n"
    )
    line.rate = 20_000_000
    args = ("submit", "folder.yaml", "--input", str(folder))
    sending = desk.begins(*args)
    until(lambda: line.up > 12_000_000, 40)
    sending.kill()
    sending.wait()
    inputs = desk.parts.share / "inputs"
    assert not (inputs / "frames").exists()
    line.rate = line.up = 0
    assert desk.told(*args)["project"]["values"]["FRAMES"] == "frames"
    assert {p.name: p.read_bytes() for p in (inputs / "frames").iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    assert line.up < 22_000_000 and [p.name for p in inputs.iterdir() if not p.name.startswith(".")] == ["frames"]


# --- downloads


@pytest.mark.chaos
def test_a_download_goes_on_after_the_server_was_killed_and_after_it_was_killed_itself(desk: Desk, line: Line) -> None:
    file, digest = large(desk)
    assert desk.says("files", "put", str(file)).exit_code == 0
    line.rate = 10_000_000
    target = desk.root / "back.bin"

    def come() -> int:
        return sum(p.stat().st_size for p in desk.root.glob(".back.bin.*.part"))

    fetching = desk.begins("files", "get", file.name, str(target))
    until(lambda: come() > LARGE // 4, 40)
    fetching.kill()
    fetching.wait()
    assert not target.exists()
    line.down = 0
    reached = come()
    again = desk.begins("files", "get", file.name, str(target))
    until(lambda: come() > LARGE // 2, 40)
    desk.parts.kill("serve")
    desk.parts.start("serve")
    assert again.wait(60) == 0, again.communicate()
    assert hashlib.sha256(target.read_bytes()).hexdigest() == digest and come() == 0
    assert line.down < LARGE - reached + 4_000_000


# --- following


COUNTING = """\
winslow: 1
name: counting
stages:
  - id: count
    command: [sh, -c, 'i=0; while [ $i -lt 400 ]; do echo "line $i"; i=$((i+1)); sleep 0.02; done']
    resources: {cpu: 0.1, memory: 16 MiB}
"""


def test_a_log_is_followed_across_restarts_of_the_server_without_a_gap_and_without_a_repetition(desk: Desk) -> None:
    desk.parts.start_engine()
    (desk.root / "counting.yaml").write_text(COUNTING)
    desk.told("submit", "counting.yaml", "--name", "counting")
    until(lambda: desk.told("show", "counting")["project"]["state"] == "running", 30, every=0.1)
    following = desk.begins("log", "counting", "-f")
    assert following.stdout is not None
    got = [following.stdout.readline()]
    desk.parts.kill("serve")
    desk.parts.start("serve")
    got += [following.stdout.readline() for _ in range(100)]
    desk.parts.kill("serve", signal.SIGTERM)  # an orderly end is none of the log's
    desk.parts.start("serve")
    rest = following.stdout.read()  # not `communicate`, which loses what is buffered
    assert "".join(got) + rest == "".join(f"line {n}\n" for n in range(400))
    assert following.wait(20) == 0


@pytest.mark.chaos
def test_waiting_goes_on_when_the_server_was_away(desk: Desk) -> None:
    desk.parts.start_engine()
    mark = desk.root / "mark"
    mark.touch()
    waiting = desk.begins("submit", "steps.yaml", "--name", "patient", "--set", f"MARK={mark}", "--wait", "--json")
    shown = desk.begins("submit", "steps.yaml", "--name", "shown", "--set", f"MARK={mark}", "--follow")

    def runs() -> bool:
        found = {p["name"]: p["state"] for p in desk.told("projects")["projects"]}
        return found.get("patient") == found.get("shown") == "running"

    until(runs, 40, every=0.2)
    desk.parts.kill("serve")
    mark.unlink()
    time.sleep(10)  # longer than one request is tried again
    assert waiting.poll() is None and shown.poll() is None
    desk.parts.start("serve")
    for one in (waiting, shown):
        out, err = one.communicate(timeout=60)
        assert one.returncode == 0, err
        assert "It is waited for; nothing is lost." in out + err


def test_who_stays_away_too_long_ends_the_waiting() -> None:
    told: list[str] = []

    def away() -> str:
        raise Unavailable("Nobody is there.")

    with Interrupt() as interrupt, pytest.raises(Unavailable):
        patiently(interrupt, "", away, told.append, patience=0.0)
    assert told == ["Nobody is there. It is waited for; nothing is lost."]


# --- commands


@pytest.mark.chaos
def test_with_several_servers_that_are_killed_no_command_is_lost_or_done_twice(desk: Desk) -> None:
    """Eight people command through three processes on one port, of which one after the other is killed."""
    parts = desk.parts
    parts.start("serve")
    parts.start("serve")
    made = [desk.told("submit", "steps.yaml", "--name", f"busy {n}")["project"]["id"] for n in range(3)]
    acknowledged: set[str] = set()
    sent: set[str] = set()
    lock = threading.Lock()
    kills = 0

    def commands(person: int) -> None:
        client = HttpClient(Wire(parts.url, desk.environ["WINSLOW_TOKEN"], patience=20.0))
        for n in range(15):
            text = f"person {person}, comment {n}"
            until(lambda: len(sent) < 30 * (kills + 1), 120)  # so that there is something to do at each kill
            with lock:
                sent.add(text)
            try:
                client.send(made[person % 3], m.AddComment(text=text))
            except Unavailable:
                continue
            with lock:
                acknowledged.add(text)
        client.close()

    people = [threading.Thread(target=commands, args=(n,)) for n in range(8)]
    for one in people:
        one.start()
    for wanted in (10, 45, 75):
        until(lambda least=wanted: len(acknowledged) > least, 60)
        parts.kill_one("serve")
        kills += 1
        parts.start("serve")
    for one in people:
        one.join(120)
    projects = [parts.installation.store.load(p) for p in made]
    found = [c.text for p in projects if p is not None for c in p.comments]  # of each the newest 50: all of them
    assert len(found) == len(set(found)), "none was done twice"
    assert acknowledged <= set(found) <= sent, "none was lost"
    assert len(acknowledged) > 100


@pytest.mark.chaos
def test_a_project_is_made_once_however_often_its_making_had_to_be_sent(desk: Desk, line: Line) -> None:
    stopping = threading.Event()

    def cutting() -> None:
        while not stopping.wait(0.02):
            line.cut()

    cutter = threading.Thread(target=cutting)
    cutter.start()
    codes = [desk.says("submit", "steps.yaml", "--name", f"cut {n}").exit_code for n in range(6)]
    stopping.set()
    cutter.join()
    names = [p["name"] for p in desk.told("projects")["projects"]]
    assert len(names) == len(set(names))
    done = {f"cut {n}" for n, code in enumerate(codes) if code == 0}
    assert done <= set(names) and set(codes) <= {0, 5}


def test_the_token_is_in_no_output_and_no_message(desk: Desk) -> None:
    token = desk.environ["WINSLOW_TOKEN"]
    desk.parts.kill("serve")
    for args in (["projects"], ["doctor"], ["submit", "steps.yaml"]):
        assert not re.search(re.escape(token[4:20]), desk.says(*args).output)
    assert token[4:] not in desk.parts.said("serve")
