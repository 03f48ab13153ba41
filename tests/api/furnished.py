"""A world with something of everything that an address can name, and for each operation a request that is accepted in
it. It can be made anew as often as something was taken away, which costs less than furnishing another one."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from starlette.testclient import TestClient

from tests.api.conftest import World, make_world, open_world
from tests.api.logged import log_of
from tests.api.test_projects_commands import Runs
from tests.builders import START
from winslow_nomad.core import messages as m
from winslow_nomad.core.notices import Message, Notice
from winslow_nomad.core.operations import Operation
from winslow_nomad.core.people import Group, Person
from winslow_nomad.core.project import Member
from winslow_nomad.resources.work import unwatched
from winslow_nomad.store.client import Address
from winslow_nomad.store.notices import LEASE, Outbox

PROJECT, GROUP = "p-contract", "team"
PASSWORD = "correct horse battery"  # as the description has it
TEXT = """winslow: 1
name: traffic
parameters:
  MIN_AREA: {type: integer, default: 300}
  MODEL: {type: choice, options: [fast, exact], default: fast}
stages:
  - id: detect
    image: busybox
    command: [echo, detect]
    charts: [{file: counts.csv, x: second, y: [cars]}]
    log_parsers: [{file: seen.csv, pattern: 'frame (?P<frame>[0-9]+)'}]
  - {id: track, needs: [detect], confirm: {ask: always}, image: busybox, command: [echo, track]}
"""
SMALL = "winslow: 1\nname: {}\nstages:\n  - {{id: hello, image: busybox, command: [echo, hello]}}\n"
CHART = {"title": "Score", "sources": [{"stage": "hello", "x": "MIN_AREA", "y": ["score"]}]}
REGISTRY = "localhost:1"  # nobody answers there, and that is found out at once
LENGTH = 9  # of the upload that has begun
Known = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Prepared:
    """`known`: what there is, by names of parameters. `requests`: place, query, headers and body of what is asked of
    an operation, where they are others than the first that is known and the body that the description shows."""

    known: Known
    requests: Mapping[str, Mapping[str, Any]]


def furnish(world: World) -> Prepared:
    given, now = world.services, world.installation.clock.now()
    world.installation.install_runner()  # the share is established
    given.people.add_group(Group(name=GROUP, members={"mem": "owner", "vic": "member"}, made=now))
    for person in ("ada", "grace"):  # whom examples name
        given.people.add(Person(name=person, made=now), PASSWORD if person == "ada" else "")
    given.people.set_password("ann", PASSWORD)
    given.people.add_group(Group(name="traffic", made=now))
    with world.signed_in("ann") as client:
        return _furnished(world, client)


def _furnished(world: World, client: TestClient) -> Prepared:
    given = world.services
    _files(world)
    files_entry = _ok(client.delete("/api/v1/files/inputs/content", params={"path": "gone.txt"}))["trash"]
    _pipelines(client)
    chart = _ok(client.post("/api/v1/pipelines/hello/charts", json=CHART))["id"]
    leftovers = _projects(world)
    channels = [given.notices.add_channel(u, "webhook", "x", "https://x.example/", None) for u in ("ann", "mem", "")]
    own, _, whole = (c.channel.id for c in channels)
    tests = [given.notices.test(u, c.channel.id).id for u, c in zip(("ann", "mem", ""), channels, strict=True)]
    messages = [_undelivered(world, user, c.channel.id) for user, c in zip(("ann", ""), channels[::2], strict=True)]
    tokens = [given.people.add_token(u, "t", frozenset({"read"}))[0].id for u in ("ann", "mem")]
    trigger = given.people.add_token("mem", "t", frozenset({"trigger"}), project=PROJECT)[0].id
    operations = [Operation(id=f"o-contract-{n}", kind="checksum", actor="ann", made=START) for n in (1, 2)]
    for operation in operations:
        given.operations.put(operation)
    given.registries.put(REGISTRY, "winslow", "a quite unlikely password", "ann")
    upload = _begun(client)
    return Prepared(
        known={
            "project": [PROJECT, "p-other", "p-gone"],
            "stage": [1, 2],
            "user": ["mem", "vic", "ada"],
            "group": [GROUP, "traffic"],
            "name": ["hello", "traffic", "gone"],
            "chart": [chart],
            "space": ["inputs", f"project:{PROJECT}"],
            "path": ["a/b.csv", "a", ""],
            "file": ["counts.csv", ".log_parser_output/seen.csv", "seen.csv"],
            "entry": [files_entry, leftovers],
            "stage_id": ["detect", "track"],
            "number": [1, 2],
            "channel": [own, *(c.channel.id for c in channels[1:])],
            "token": [*tokens, trigger],
            "test": tests,
            "message": messages,
            "operation": [o.id for o in operations],
            "host": [REGISTRY],
            "node": [n.node.name for n in given.nodes.all()],
            "upload": [upload],
            "left": [1], "right": [2, 1], "pattern": ["frame"],
            "x": ["one"], "y": ["two"], "kind": ["out"],
        },
        requests={
            "download_table": {"query": {"file": "seen.csv"}},
            "read_chart": {"query": {"stage": [1], "file": "counts.csv", "x": "second", "y": ["cars"]}},
            "command_project": {"body": {"kind": "pause_project"}},
            "command_many": {"body": {"command": {"kind": "pause_project"}, "projects": [PROJECT, "p-other"]}},
            "put_file": {"query": {"path": "a/new.txt"}, "body": b"new"},
            "download_folder": {"query": {"path": "a"}},
            "folder_access": {"query": {"path": "a"}},
            "set_folder_access": {"query": {"path": "a"}},
            "add_group": {"body": {"name": "night", "title": "Night shift", "owners": ["ada"]}},
            "set_member": {"place": {"user": "ada"}},
            "follow_log": {"query": {"wait": 0}},
            "test_channel": {"body": {"channel": own}},
            "change_channel_of_installation": {"place": {"channel": whole}},
            "remove_channel_of_installation": {"place": {"channel": whole}},
            "test_channel_of_installation": {"body": {"channel": whole}},
            "read_channel_test_of_installation": {"place": {"test": tests[2]}},
            "retry_message_of_installation": {"place": {"message": messages[1]}},
            "discard_message_of_installation": {"place": {"message": messages[1]}},
            "create_pipeline": {"body": {"text": SMALL.format("new")}},
            "publish_pipeline": {"body": {"text": SMALL.format("hello").replace("hello]", "again]"), "expected": 2}},
            "take_pipeline_example": {"place": {"name": "traffic"}},
            "bring_example_clip": {"place": {"name": "traffic"}},
            "validate_pipeline_folder": {"body": _zipped(SMALL.format("new"))},
            "upload_pipeline": {"body": _zipped(SMALL.format("new"))},
            "restore_pipeline": {"place": {"name": "gone"}},
            "restore_pipeline_version": {"body": {"comment": "the first one again", "expected": 2}},
            "switch_pipeline": {"body": {"library": "traffic", "version": 1}},
            "restore_project": {"place": {"project": "p-gone"}},
            "clean_project": {"place": {"project": "p-other"}},
            "take_back_leftovers": {"place": {"project": "p-other", "entry": leftovers}},
            "set_own_password": {"body": {"present": PASSWORD, "password": f"{PASSWORD} staple"}},
            "withdraw_trigger": {"place": {"token": trigger}},
            "withdraw_token_of": {"place": {"user": "mem", "token": tokens[1]}},
            "begin_upload": {"headers": {"upload-length": "9", "upload-metadata": "filename bmV3LnR4dA=="}},
            "continue_upload": {"headers": {"upload-offset": "0"}, "body": b"x" * LENGTH},
            "add_user": {"body": {"name": "hedy", "display_name": "Hedy", "email": "hedy@example.org"}},
        },
    )  # fmt: skip


def _ok(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json()


def _files(world: World) -> None:
    inputs = world.installation.settings.share / "inputs"
    for folder in ("a", "junction", "samples"):
        (inputs / folder).mkdir(parents=True, exist_ok=True)
    (inputs / "a" / "b.csv").write_text("one,two\n1,2\n3,4\n", encoding="utf-8")
    (inputs / "gone.txt").write_text("gone", encoding="utf-8")
    (inputs / "junction" / "north.mp4").write_bytes(b"film")
    (inputs / "frames.zip").write_bytes(_zipped("one"))
    for example in world.services.library.examples("local"):
        if example.clip:  # it would have to be fetched otherwise
            (inputs / example.clip).parent.mkdir(parents=True, exist_ok=True)
            (inputs / example.clip).write_bytes(b"film")


def _zipped(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("pipeline.yaml", text)
    return out.getvalue()


def _pipelines(client: TestClient) -> None:
    for text in (TEXT, SMALL.format("hello"), SMALL.format("gone")):
        _ok(client.post("/api/v1/pipelines", json={"text": text}))
    changed = {"text": SMALL.format("hello").replace("hello]", "there]"), "expected": 1}
    _ok(client.put("/api/v1/pipelines/hello", json=changed))
    _ok(client.delete("/api/v1/pipelines/gone"))


def _projects(world: World) -> str:
    """One with a stage that has ended and one that waits; one whose stage has failed and was cleaned up; one that is
    deleted. Answers the entry of the trash with what was cleaned up."""
    given, share = world.services, world.installation.settings.share
    pipeline = given.texts.parse(TEXT)
    members = (Member(user="vic", role="viewer"), Member(user=f"@{GROUP}", role="member"))
    for project in (PROJECT, "p-other", "p-gone"):
        made = m.CreateProject(project=project, name=project, pipeline=pipeline, participants=members, actor="mem")
        given.client.send(project, made)
        given.client.send(project, m.StartProject())
        attempt = share / "projects" / project / "stages/0001-detect/attempts/1"
        for part in ("workspace", "output"):
            (attempt / part).mkdir(parents=True)
            (attempt / part / "counts.csv").write_text("second,cars\n1,2\n2,3\n", encoding="utf-8")
        log_of(world, project).write(0, b"frame 1\nframe 2\n")
        runs = Runs(world, project)
        runs.start(1)
        runs.end(1, code=int(project != PROJECT))
    world.installation.sender.facts("p-other", [m.StageSealed(stage=1)])
    cleaning = given.client.clean("p-other", actor="mem")
    world.installation.handlers["clean"](cleaning, unwatched)
    (entry,) = given.client.leftovers("p-other").trash
    given.client.send("p-gone", m.TrashProject(actor="mem"))
    return entry.entry


def _undelivered(world: World, user: str, channel: str) -> str:
    """A message that was given up."""
    notice = Notice(id=f"n-{user}", what="failure", text="A stage failed", at=START, project=PROJECT)
    message = Message(
        id=f"m-{user}", to=user, channel=channel, notices=(notice,), opened=START, due=START, sealed=True, tries=9,
        first=START, error="The webhook's server answered 500.", dead=START,
    )  # fmt: skip
    lease = world.installation.lease("furnishing", LEASE)
    epoch = lease.hold()
    assert epoch is not None
    Outbox(world.installation.state, world.installation.keys).spread(epoch, (), [message])
    lease.release()
    return message.id


def _begun(client: TestClient) -> str:
    headers = {"tus-resumable": "1.0.0", "upload-length": str(LENGTH), "upload-metadata": "filename YS50eHQ="}
    upload = client.post("/api/v1/uploads", headers=headers)
    assert upload.status_code == 201, upload.text
    return str(upload.headers["location"]).rpartition("/")[2]


@dataclass
class Ground:
    """`world` is the furnished one; `anew` makes it as it was at first."""

    address: Address
    prefix: str
    client: Redis
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="api-", dir="/tmp")))

    def __post_init__(self) -> None:
        self.world = make_world(self.folder / "w", self.address, self.prefix)
        self.prepared = furnish(self.world)
        self.world.installation.close()
        keys = self._keys()
        with self.client.pipeline(transaction=False) as asked:
            for key in keys:
                asked.dump(key)
                asked.pttl(key)
            found = asked.execute()
        self._kept = list(zip(keys, found[::2], found[1::2], strict=True))
        self._copied("w", "kept")
        self.world = open_world(self.folder / "w", self.address, self.prefix)

    def anew(self) -> World:
        self.world.installation.close()
        shutil.rmtree(self.folder / "w", ignore_errors=True)
        self._copied("kept", "w")
        with self.client.pipeline() as asked:
            for key in self._keys():
                asked.delete(key)
            for key, value, left in self._kept:
                asked.restore(key, max(0, left), value)
            asked.execute()
        self.world = open_world(self.folder / "w", self.address, self.prefix)
        return self.world

    def close(self) -> None:
        self.world.installation.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keys(self) -> list[Any]:
        return list(self.client.scan_iter(match=f"{self.prefix}:*", count=1000))

    def _copied(self, source: str, target: str) -> None:
        subprocess.run(["cp", "-a", self.folder / source, self.folder / target], check=True)
