"""What every client promises, on the data directory of this machine and on a server in a process of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tests.parts import Parts
from tests.valkey import Server, running_server, server  # noqa: F401
from tests.waiting import until
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.client import HttpClient
from winslow_nomad.client.files import HttpFiles
from winslow_nomad.client.memory import Memory
from winslow_nomad.client.wire import Wire
from winslow_nomad.core import messages as m
from winslow_nomad.core.client import Client
from winslow_nomad.core.errors import Conflict, Invalid, InvalidPipeline, NotFound, Refused, VersionChanged
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project, ProjectState
from winslow_nomad.core.stage import Overrides, StageState

TEXT = """\
winslow: 1
name: steps
parameters:
  TEXT: {type: string, default: hello}
secrets: {LICENCE: {required: false}}
stages:
  - id: first
    secrets: [LICENCE]
    command: [sh, -c, 'echo "$TEXT"; echo to stderr >&2; echo "size=5" >> "$WINSLOW_RESULTS"']
    results: {size: integer}
    resources: {cpu: 0.1, memory: 16 MiB}
  - id: second
    confirm: {ask: always}
    command: [sh, -c, 'while :; do sleep 0.05; done']
    resources: {cpu: 0.1, memory: 16 MiB}
    stop_grace: 1s
"""


@dataclass
class Kind:
    """A client under test; `again`: another one that sees the same, as another process has it."""

    client: Client
    again: Callable[[], Client]
    root: Path
    parts: Parts

    def pipeline(self, text: str = TEXT) -> Pipeline:
        file = self.root / "steps.yaml"
        file.write_text(text)
        return self.client.pipeline(file)

    def make(self, name: str = "one", **fields: object) -> Project:
        fields = {"pipeline": self.pipeline(), "actor": "mem", **fields}
        identifier = f"p-{secrets.token_hex(4)}"
        command = m.CreateProject.model_validate({"project": identifier, "name": name, **fields})
        return self.client.send(identifier, command, key=identifier)


@pytest.fixture(scope="module")
def installation(running_server: object) -> Iterator[Parts]:  # noqa: F811
    """Everything runs, for all tests of this page."""
    from winslow_nomad.store.client import reader_client, state_client
    from winslow_nomad.store.keys import Keys

    address = running_server.address  # type: ignore[attr-defined]
    client, reader = state_client(address), reader_client(address)
    root = Path(tempfile.mkdtemp(prefix="contract-", dir="/tmp"))
    parts = Parts(root, Server(address, client, reader, Keys(f"t{secrets.token_hex(4)}")))
    parts.start("serve")
    parts.start_engine()
    yield parts
    parts.close()
    client.close()
    reader.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["local", "http"])
def kind(request: pytest.FixtureRequest, installation: Parts, tmp_path: Path) -> Iterator[Kind]:
    opened: list[HttpClient] = []

    def another() -> Client:
        if request.param == "local":
            return LocalClient(installation.installation)
        opened.append(HttpClient(Wire(installation.url, token)))
        opened[-1].files = HttpFiles(opened[-1].wire, Memory(tmp_path / "memory"))
        return opened[-1]

    token = installation.token()
    yield Kind(another(), another, tmp_path, installation)
    for client in opened:
        client.close()
    for row in LocalClient(installation.installation).projects(limit=1000):
        LocalClient(installation.installation).send(row.id, m.TrashProject(actor="ann"))


def settled(client: Client, project: str) -> Project:
    """When nothing runs and all that ended is sealed."""

    def look() -> Project | None:
        found = client.project(project)
        busy = found.state in (ProjectState.RUNNING, ProjectState.QUEUED)
        return found if not busy and not found.sealing else None

    return until(look, 40, every=0.05)


# --- projects


def test_a_project_that_was_made_is_there_for_everybody(kind: Kind) -> None:
    made = kind.make(values={"TEXT": "ho"}, tags=("a", "b"), priority=70)
    assert (made.name, made.author, made.values, made.tags, made.priority, made.state) == (
        "one", "mem", {"TEXT": "ho"}, ("a", "b"), 70, ProjectState.IDLE,
    )  # fmt: skip
    assert made.pipeline.by_id["first"].results and made.driver == "local"
    assert kind.again().project(made.id) == made
    assert [row.id for row in kind.again().projects() if row.name == "one"] == [made.id]


def test_making_it_again_under_the_same_key_makes_no_second_one(kind: Kind) -> None:
    identifier = f"p-{secrets.token_hex(4)}"
    command = m.CreateProject(actor="mem", project=identifier, name="twice", pipeline=kind.pipeline())
    first, second = (kind.client.send(identifier, command, key=identifier) for _ in range(2))
    assert first.id == second.id and first.version == second.version
    assert [row.name for row in kind.client.projects(text="twice")] == ["twice"]


def test_a_project_is_found_by_its_id_the_start_of_it_and_its_name(kind: Kind) -> None:
    one, two = kind.make("one of them"), kind.make("two: ü/ä?")
    for client in (kind.client, kind.again()):
        assert client.find(one.id) == one.id
        assert client.find(one.id[:-1]) == one.id
        assert client.find("two: ü/ä?") == two.id
    newer = kind.make(one.name)
    assert kind.client.find(one.name) == newer.id


def test_the_start_of_several_ids_is_answered_with_them(kind: Kind) -> None:
    """Ids are drawn by chance: enough of them that two begin alike."""
    starts: dict[str, list[str]] = {}
    while max(map(len, starts.values()), default=0) < 2:
        made = kind.make(f"one of {len(starts)}").id
        starts.setdefault(made[:3], []).append(made)
    start = next(start for start, ids in starts.items() if len(ids) > 1)
    with pytest.raises(NotFound) as error:
        kind.client.find(start)
    assert error.value.code == "project.ambiguous" and repr(start) in error.value.message
    assert error.value.message.count(start) > 2 and error.value.hint


@pytest.mark.parametrize("name", ["nothing", "", "..", "../projects", "a/b", "x" * 5000, "\udcff", "a?b#c", "\n"])
def test_what_is_not_there_is_told(kind: Kind, name: str) -> None:
    for ask in (kind.client.find, kind.client.project):
        with pytest.raises(NotFound) as error:
            ask(name)
        assert error.value.code == "project.not_found" and error.value.hint


def test_lists_are_filtered_and_gone_through_in_pages(kind: Kind) -> None:
    ids = [kind.make(f"row {n}", tags=("even",) if n % 2 == 0 else ()).id for n in range(5)][::-1]
    listed = kind.client.projects(text="row")
    assert [row.id for row in listed] == ids
    assert [row.id for row in kind.client.projects(text="row", limit=2)] == ids[:2]
    assert [row.id for row in kind.client.projects(text="row", limit=2, after=ids[1])] == ids[2:4]
    assert [row.id for row in kind.client.projects(tag="even", text="row")] == ids[::2]
    assert kind.client.projects(text="row", state="running") == [] or not kind.client.projects(state="running")
    assert len(kind.client.projects(author="mem", text="row")) == 5 and not kind.client.projects(author="jonas")
    assert not kind.client.projects(text="\udcff")


# --- commands


def test_a_command_answers_the_project_after_it_and_is_refused_with_its_reason(kind: Kind) -> None:
    made = kind.make()
    after = kind.client.send(made.id, m.SetValues(actor="mem", values={"TEXT": "x"}))
    assert after.values == {"TEXT": "x"} and after.version == made.version + 1
    with pytest.raises(Refused) as error:
        kind.client.send(made.id, m.AnswerGate(actor="mem", gate="g1"))
    assert error.value.code == "gate.not_open" and "answered already" in error.value.message
    with pytest.raises(Invalid):
        kind.client.send(made.id, m.EnqueueStage(actor="mem", id="first", overrides=Overrides(values={"NO NAME": "1"})))
    with pytest.raises(NotFound) as absent:
        kind.client.send("nothing", m.PauseProject(actor="mem"))
    assert absent.value.code == "project.not_found"


def test_a_command_under_the_same_key_is_done_once(kind: Kind) -> None:
    made, key = kind.make(), secrets.token_hex(8)
    for client in (kind.client, kind.again(), kind.client):
        client.send(made.id, m.AddComment(actor="mem", text="once"), key=key)
    assert [c.text for c in kind.client.project(made.id).comments] == ["once"]
    with pytest.raises(Conflict) as error:
        kind.client.send(made.id, m.AddComment(actor="mem", text="something else"), key=key)
    assert "key was used for another request" in error.value.message


def test_who_has_seen_another_version_is_told(kind: Kind) -> None:
    made = kind.make()
    kind.client.send(made.id, m.AddComment(actor="mem", text="meanwhile"))
    with pytest.raises(VersionChanged) as error:
        kind.client.send(made.id, m.PauseProject(actor="mem"), expected=made.version)
    assert error.value.code == "conflict.version"
    assert kind.client.project(made.id).pause is None


def test_texts_that_are_none_are_refused_before_anything_is_done(kind: Kind) -> None:
    made = kind.make()
    with pytest.raises(Invalid) as error:
        kind.client.send(made.id, m.AddComment(actor="mem", text="\udcff"))
    assert error.value.code == "value.text"
    with pytest.raises(Invalid):
        kind.client.put_secret("LICENCE", "\udcff")


def test_a_secret_reaches_the_stage_and_nobody_else(kind: Kind) -> None:
    text = TEXT.replace('echo "$TEXT"', 'printf %s "$LICENCE" | wc -c; echo "$LICENCE"')
    reference = kind.client.put_secret("LICENCE", "a very secret text")
    assert reference.startswith("secret:")
    made = kind.make("secretive", pipeline=kind.pipeline(text), secrets={"LICENCE": reference}, start=True)
    assert "LICENCE" in made.secrets and "very secret" not in made.model_dump_json()
    done = settled(kind.client, made.id)
    log = b"".join(c.data for c in kind.client.log(made.id, 1) if c.stream == "out")
    assert b"18" in log and b"very secret" not in log
    assert "very secret" not in done.model_dump_json() + repr(kind.client.record(made.id, 1))
    other = kind.client.put_secret("LICENCE", "another")
    after = kind.client.send(made.id, m.SetSecrets(actor="mem", secrets={"LICENCE": other}))
    assert "LICENCE" in after.secrets
    gone = kind.client.send(made.id, m.SetSecrets(actor="mem", secrets={"LICENCE": None}))
    assert gone.secrets == {}


# --- pipelines


def test_a_file_with_mistakes_is_answered_with_all_of_them_and_their_places(kind: Kind) -> None:
    with pytest.raises(InvalidPipeline) as error:
        kind.pipeline("winslow: 1\nname: x\nstages:\n  - {id: a, comand: [b]}\n  - {id: b, imgae: c, command: [d]}\n")
    problems, file = error.value.problems, str(kind.root / "steps.yaml")
    assert {(p.file, p.line) for p in problems} >= {(file, 4), (file, 5)}
    assert any("command" in p.hint for p in problems)


def test_a_pipeline_that_is_not_there_is_told(kind: Kind) -> None:
    with pytest.raises(NotFound) as error:
        kind.client.pipeline(kind.root / "nothing.yaml")
    assert error.value.code == "pipeline.not_found"


def test_what_is_no_pipeline_file_is_told_and_holds_nobody_up(kind: Kind) -> None:
    os.mkfifo(kind.root / "pipe")
    (kind.root / "around.yaml").symlink_to("around.yaml")
    (kind.root / "binary.yaml").write_bytes(b"\xff\x00")
    (kind.root / "empty").mkdir()
    for name in ("with pipe", "with link"):
        (kind.root / name).mkdir()
        (kind.root / name / "pipeline.yaml").write_text(TEXT)
    os.mkfifo(kind.root / "with pipe" / "pipe")
    (kind.root / "with link" / "link").symlink_to("/etc/passwd")
    for name, code in {
        "x" * 300: "pipeline.unreadable",
        "pipe": "pipeline.unreadable",
        "around.yaml": "pipeline.unreadable",
        "/dev/zero": "pipeline.unreadable",
        "empty": "pipeline.not_found",
        "\udcff": "pipeline.not_found",
        "with pipe": "pipeline.folder",
        "with link": "pipeline.folder",
    }.items():
        with pytest.raises((Invalid, NotFound)) as error:
            kind.client.pipeline(kind.root / name)
        assert error.value.code == code, name
    with pytest.raises(Invalid):
        kind.client.pipeline(kind.root / "binary.yaml")


def folder(root: Path, script: str = "print('from the folder')") -> Path:
    made = root / "pipe ü"
    made.mkdir(exist_ok=True)
    (made / "pipeline.yaml").write_text(
        "winslow: 1\nname: coded\nstages:\n  - id: only\n    command: [python, '${WINSLOW_PIPELINE}/code/run.py']\n"
    )
    (made / "code").mkdir(exist_ok=True)
    (made / "code" / "run.py").write_text(script)
    (made / "code" / "__pycache__").mkdir(exist_ok=True)
    (made / "code" / "__pycache__" / "x.pyc").write_bytes(os.urandom(20))
    return made


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_folder_brings_its_code_along(kind: Kind, named: str) -> None:
    place = folder(kind.root) / ("pipeline.yaml" if named == "file" else "")
    pipeline = kind.client.pipeline(place)
    assert pipeline.folder is not None and pipeline.name == "coded"
    assert kind.client.pipeline(place).folder == pipeline.folder  # whatever lies in __pycache__
    made = kind.make("coded", pipeline=pipeline, start=True)
    assert settled(kind.client, made.id).state is ProjectState.SUCCEEDED
    assert b"from the folder" in b"".join(c.data for c in kind.client.log(made.id, 1))


def test_a_mistake_in_a_folder_is_told_with_the_file_of_this_machine(kind: Kind) -> None:
    place = folder(kind.root)
    (place / "pipeline.yaml").write_text("winslow: 1\nname: x\nstages:\n  - {id: a, comand: [b]}\n")
    with pytest.raises(InvalidPipeline) as error:
        kind.client.pipeline(place)
    assert {p.file for p in error.value.problems} == {str(place / "pipeline.yaml")}


def test_a_project_gets_another_pipeline(kind: Kind) -> None:
    made = kind.make()
    coded = kind.client.pipeline(folder(kind.root))
    after = kind.client.send(made.id, m.EditPipeline(actor="mem", pipeline=coded))
    assert (after.pipeline.name, after.pipeline.folder) == ("coded", coded.folder)
    back = kind.client.send(made.id, m.EditPipeline(actor="mem", pipeline=kind.pipeline()))
    assert (back.pipeline.name, back.pipeline.folder) == ("steps", None)


def test_a_pipeline_of_the_library_is_had_by_its_name(kind: Kind) -> None:
    from winslow_nomad.bootstrap.library import InstalledLibrary, InstalledTexts

    texts = InstalledTexts(kind.parts.installation)
    shelf = InstalledLibrary(kind.parts.installation, texts)
    shelf.publish(TEXT.replace("steps", "kept one"), None, "ann")
    shelf.publish(TEXT.replace("steps", "kept one").replace("hello", "hi"), None, "ann")
    newest, first = kind.client.library("kept one"), kind.client.library("kept one", 1)
    assert (newest.parameters["TEXT"].default, first.parameters["TEXT"].default) == ("hi", "hello")
    made = kind.make("from the library", pipeline=first)
    assert (made.pipeline.name, made.pipeline.version) == ("kept one", 1)
    with pytest.raises(NotFound):
        kind.client.library("nothing of the kind")


# --- what runs


def test_a_stage_runs_and_its_log_record_and_results_are_there(kind: Kind) -> None:
    made = kind.make("running", start=True, values={"TEXT": "grüße"})
    done = settled(kind.client, made.id)
    assert done.state is ProjectState.WAITING and done.ended[1].results == {"size": 5}
    assert done.gates[0].kind == "confirm"
    streams = {s: b"".join(c.data for c in kind.client.log(made.id, 1) if c.stream == s) for s in ("out", "err")}
    assert streams == {"out": "grüße\n".encode(), "err": b"to stderr\n"}
    assert all(c.at is not None for c in kind.client.log(made.id, 1))
    record = kind.client.record(made.id, 1)
    assert record["results"] == {"size": 5} and record["number"] == 1
    open_record = kind.client.record(made.id, 2)
    assert open_record["state"] == "queued" and open_record["definition"]["id"] == "second"
    for wrong in (7, 0):
        with pytest.raises(NotFound):
            kind.client.record(made.id, wrong)
    with pytest.raises(NotFound):
        list(kind.client.log(made.id, 7))
    with pytest.raises(NotFound):
        list(kind.client.log(made.id, 1, 5))


def test_a_log_is_followed_until_its_end_and_progress_is_told_meanwhile(kind: Kind) -> None:
    script = 'echo begun; echo 40 > "$WINSLOW_PROGRESS"; while [ ! -e "$TEXT" ]; do sleep 0.05; done; echo over; '
    text = TEXT.replace('echo "$TEXT"; ', script)
    mark = kind.root / "mark"
    made = kind.make("followed", pipeline=kind.pipeline(text), start=True, values={"TEXT": str(mark)})
    until(lambda: kind.client.project(made.id).stages[1].state is StageState.RUNNING, 30, every=0.05)
    chunks = kind.client.log(made.id, 1, follow=True)
    first = next(chunks)
    assert first.data == b"begun\n"
    until(lambda: [p.percent for p in kind.client.progress(made.id)] == [40.0], 30, every=0.1)
    assert kind.client.active() != ""
    mark.touch()
    rest = b"".join(c.data for c in chunks if c.stream == "out")
    assert rest == b"over\n"
    assert list(kind.client.progress(made.id)) == [] or settled(kind.client, made.id).gates


def test_what_happens_is_told_while_it_is_waited_for(kind: Kind) -> None:
    import threading

    made = kind.make("watched")
    kind.client.events(made.id, timeout=0.05)
    found: list[str] = []

    def wait() -> None:
        cursor = ""
        while "comment" not in " ".join(found) and len(found) < 50:
            news = kind.client.events(made.id, cursor, timeout=5.0)
            cursor = news[-1].cursor if news else cursor
            found.extend(h.entry.what for h in news)

    waiter = threading.Thread(target=wait)
    waiter.start()
    comment = m.AddComment(actor="mem", text="x")
    until(lambda: kind.again().send(made.id, comment) and not waiter.is_alive(), 20, every=0.2)
    assert any("comment" in what for what in found)


def test_a_deleted_project_comes_back(kind: Kind) -> None:
    made = kind.make("deleted by " + secrets.token_hex(4))
    name = made.name
    assert kind.client.send(made.id, m.TrashProject(actor="mem")).trashed is not None
    assert not kind.client.projects(text=name) and kind.client.find(name) == made.id
    assert kind.client.send(made.id, m.RestoreProject(actor="mem")).trashed is None


def test_what_failed_stages_left_is_cleaned_up_when_somebody_says_so(kind: Kind) -> None:
    text = "winslow: 1\nname: fails\nstages:\n  - {id: one, command: [sh, -c, 'echo x > y; exit 3']}\n"
    failing = kind.pipeline(text)
    made = kind.make(pipeline=failing, start=True)
    until(lambda: kind.client.project(made.id).ended, 30)
    workspace = kind.parts.share / "projects" / made.id / "stages/0001-one/attempts/1/workspace"
    assert (workspace / "y").exists()
    until(lambda: kind.client.leftovers(made.id).items, 30)  # once its record is complete
    before = kind.client.leftovers(made.id)
    (item,) = before.items
    assert (item.stage, item.id, item.attempt, item.kind) == (1, "one", 1, "failed_workspace")
    assert item.bytes and before.trash == () and item.goes == item.since + timedelta(days=7)
    begun = kind.client.clean(made.id, actor="mem", key="k1")
    assert begun.kind == "clean" and begun.project == made.id
    until(lambda: not workspace.exists(), 30)
    until(lambda: kind.client.leftovers(made.id).trash, 30)
    (held,) = kind.client.leftovers(made.id).trash
    assert kind.client.leftovers(made.id).items == ()
    assert (held.directories, held.until) == (1, held.at + timedelta(days=7))
    assert held.bytes is not None and held.bytes >= item.bytes
    # an answer that was lost is asked for again
    assert kind.client.clean(made.id, actor="mem", key="k1").id == begun.id, (
        "an answer that was lost is asked for again"
    )
    assert kind.client.clean(made.id, actor="mem").id != begun.id
    back = kind.client.take_back(made.id, held.entry, actor="mem", key="k1")
    assert (back.kind, back.project) == ("take_back", made.id)
    until(lambda: (workspace / "y").exists() and not kind.client.leftovers(made.id).trash, 30)
    assert kind.client.take_back(made.id, held.entry, actor="mem", key="k1").id == back.id
    (again,) = kind.client.leftovers(made.id).items
    assert again.since > item.since, "what was taken back is kept as long as if it had just become useless"
    for project, entry in ((made.id, held.entry), (made.id, "p-other-old-o1"), ("p-nothing", held.entry)):
        with pytest.raises(NotFound):
            kind.client.take_back(project, entry, actor="mem")
    for call in (kind.client.clean, kind.client.leftovers):
        with pytest.raises(NotFound):
            call("p-nothing")
    kind.client.send(made.id, m.TrashProject(actor="mem"))
    with pytest.raises(Refused) as refused:
        kind.client.clean(made.id, actor="mem")
    assert refused.value.code == "project.in_trash"


# --- files


def content(kind: Kind, path: str) -> bytes:
    return (kind.parts.share / "inputs" / path).read_bytes()


@pytest.mark.parametrize("size", [0, 5, 9_000_000])
def test_a_file_is_brought_once_and_another_one_of_its_name_gets_a_number(kind: Kind, size: int) -> None:
    video = kind.root / f"a clip ü {size} {type(kind.client).__name__}.mp4"
    video.write_bytes(os.urandom(size))
    path = kind.client.bring_input(video)
    assert path == video.name and content(kind, path) == video.read_bytes()
    assert kind.client.bring_input(video) == kind.again().bring_input(video) == path
    other = kind.root / "elsewhere" / video.name
    other.parent.mkdir()
    other.write_bytes(os.urandom(size + 1))
    second = kind.client.bring_input(other)
    assert second == f"{video.stem}-2.mp4" and content(kind, second) == other.read_bytes()
    assert kind.client.bring_input(other) == second
    assert content(kind, path) == video.read_bytes()


def test_a_folder_is_brought_whole(kind: Kind) -> None:
    source = kind.root / f"frames {type(kind.client).__name__}"
    (source / "day 1").mkdir(parents=True)
    (source / "empty").mkdir()
    for n in range(5):
        (source / "day 1" / f"{n} ß.png").write_bytes(os.urandom(2000))
    path = kind.client.bring_input(source)
    assert path == source.name
    found = kind.parts.share / "inputs" / path
    assert sorted(str(f.relative_to(found)) for f in found.rglob("*")) == sorted(
        str(f.relative_to(source)) for f in source.rglob("*")
    )
    assert kind.client.bring_input(source) == path
    (source / "day 1" / "0 ß.png").write_bytes(os.urandom(2000))
    assert kind.client.bring_input(source) == f"{path}-2"
    assert [e.name for e in kind.client.files.entries("inputs") if "arriving" in e.name or e.name.startswith(".")] == []


def test_a_file_that_is_not_there_is_told(kind: Kind) -> None:
    with pytest.raises((Invalid, NotFound, Refused, FileNotFoundError)):
        kind.client.bring_input(kind.root / "nothing.mp4")


@pytest.mark.parametrize("name", ["a\nb.mp4", "a\rb.mp4", "\udcff.mp4", "a\x1b[2Jb.mp4"])
def test_a_name_that_nobody_could_type_is_refused(kind: Kind, name: str) -> None:
    file = kind.root / name
    file.write_bytes(b"x")
    with pytest.raises(Invalid):
        kind.client.files.put(file, "inputs", f"sub/{name}")
    assert not any(e.name == "sub" for e in kind.client.files.entries("inputs"))


def test_files_are_put_listed_fetched_and_deleted(kind: Kind) -> None:
    made = kind.make("with files")
    top = f"top {type(kind.client).__name__}"
    source = kind.root / "x.csv"
    source.write_text("a,b\n1,2\n")
    files = kind.client.files
    assert files.put(source, "inputs", f"{top}/ä b/x.csv") == f"{top}/ä b/x.csv"
    assert files.put(source, "inputs", f"{top}/ä b/x.csv") == f"{top}/ä b/x.csv"  # the same again is nothing
    assert [(e.name, e.kind, e.bytes) for e in files.entries("inputs", f"{top}/ä b")] == [("x.csv", "file", 8)]
    assert files.entry("inputs", top).kind == "folder"
    files.make_folder("inputs", f"{top}/empty/inside")
    source.write_text("other")
    with pytest.raises(Refused) as error:
        files.put(source, "inputs", f"{top}/ä b/x.csv")
    assert error.value.code == "path.taken"
    assert files.put(source, "inputs", f"{top}/ä b/x.csv", conflict="keep_both") == f"{top}/ä b/x-2.csv"
    assert files.put(source, "inputs", f"{top}/ä b/x.csv", conflict="replace") == f"{top}/ä b/x.csv"
    target = kind.root / "fetched"
    files.get("inputs", top, target)
    assert {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()} == {
        "ä b/x.csv": "other", "ä b/x-2.csv": "other",
    }  # fmt: skip
    assert (target / "empty" / "inside").is_dir()
    files.get("inputs", top, target)  # all is there
    (target / "ä b" / "x.csv").write_text("mine")
    with pytest.raises(Refused) as mine:
        files.get("inputs", top, target)
    assert mine.value.code == "path.taken" and (target / "ä b" / "x.csv").read_text() == "mine"
    assert files.remove("inputs", top)
    with pytest.raises(NotFound):
        files.entry("inputs", top)
    put = files.put(source, f"project:{made.id}", "stages/0000/workspace/x.csv")
    assert [e.name for e in files.entries(f"project:{made.id}", "stages/0000/workspace")] == ["x.csv"]
    assert kind.client.files.get(f"project:{made.id}", put, kind.root / "y.csv").read_text() == "other"
    with pytest.raises(NotFound):
        list(files.entries("project:nothing"))


def test_what_lies_there_under_an_odd_name_is_fetched_under_it(kind: Kind) -> None:
    folder = kind.parts.share / "inputs" / f"odd {type(kind.client).__name__}"
    folder.mkdir(parents=True)
    for name in ("\udcff.bin", "a\nb.bin", "😀"):
        (folder / name).write_text(name.encode("utf-8", "surrogateescape").hex())
    target = kind.client.files.get("inputs", folder.name, kind.root / "odd")
    assert {p.name for p in target.iterdir()} == {"\udcff.bin", "a\nb.bin", "😀"}
    assert (target / "\udcff.bin").read_text() == "ff2e62696e"


def test_progress_of_files_is_reported(kind: Kind) -> None:
    source = kind.root / f"large {type(kind.client).__name__}.bin"
    source.write_bytes(os.urandom(12_000_000))
    seen: list[tuple[str, int, int]] = []
    kind.client.files.report = lambda *told: seen.append(told)
    kind.client.files.put(source, "inputs", source.name)
    assert (source.name, 12_000_000, 12_000_000) in seen and any(0 < done < total for _, done, total in seen)
    seen.clear()
    kind.client.files.get("inputs", source.name, kind.root / "back.bin")
    assert seen[-1][1:] == (12_000_000, 12_000_000)
    assert (kind.root / "back.bin").read_bytes() == source.read_bytes()
