"""The command line against a server in processes of its own, from a home that knows nothing but its address."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.cli.served import GATED, Desk
from tests.images.docker_registry import ADA
from tests.images.serving import Recorded, Serving
from tests.parts import PASSWORD, Parts, free_port
from tests.valkey import Server, running_server  # noqa: F401
from tests.waiting import until
from winslow_nomad import __version__
from winslow_nomad.client import HttpClient
from winslow_nomad.client.wire import Wire
from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import Invalid, Unavailable, WinslowError
from winslow_nomad.store.audit import RedisAudit
from winslow_nomad.store.client import reader_client, state_client
from winslow_nomad.store.embedded import Embedded
from winslow_nomad.store.keys import Keys


@pytest.fixture(scope="module")
def parts(running_server: Embedded) -> Iterator[Parts]:  # noqa: F811
    """Everything runs, for all tests of this page."""
    address = running_server.address
    client, reader = state_client(address), reader_client(address)
    root = Path(tempfile.mkdtemp(prefix="served-", dir="/tmp"))
    made = Parts(root, Server(address, client, reader, Keys(f"t{secrets.token_hex(4)}")))
    made.start("serve")
    made.start_engine()
    yield made
    made.close()
    client.close()
    reader.close()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def desk(parts: Parts, tmp_path: Path) -> Desk:
    """With a token of `mem`."""
    return Desk(tmp_path, parts, parts.token())


@pytest.fixture
def stranger(parts: Parts, tmp_path: Path) -> Desk:
    """With nothing but a home."""
    return Desk(tmp_path, parts)


# --- submit


def test_a_pipeline_is_submitted_and_waited_for(desk: Desk) -> None:
    done = desk.told("submit", "steps.yaml", "--name", "one", "--set", "TEXT=ä ö", "--tag", "x", "--wait")
    project = done["project"]
    assert (done["exit"], project["state"], project["author"]) == (0, "succeeded", "mem")
    assert project["values"] == {"TEXT": "ä ö"}
    assert done["page"] == f"{desk.parts.url}/projects/{project['id']}" and project["tags"] == ["x"]
    assert desk.says("log", "one").stdout == "ä ö\n"


def test_without_waiting_it_is_done_when_it_is_acknowledged(desk: Desk) -> None:
    done = desk.says("submit", "steps.yaml", "--name", "quick")
    assert done.exit_code == 0 and f"{desk.parts.url}/projects/p" in done.stdout
    assert desk.says("follow", "quick", "--wait").exit_code == 0


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["steps.yaml", "--set", "CODE=7"], 1),
        (["gated.yaml"], 3),
        (["steps.yaml", "--set", "COED=7"], 2),
        (["nothing"], 2),
        (["steps.yaml", "--set", "CODE=seven"], 2),
    ],
    ids=["a stage fails", "a question", "a wrong name", "no pipeline", "a wrong value"],
)
def test_the_exit_code_says_what_became_of_it(desk: Desk, args: list[str], code: int) -> None:
    before = len(desk.told("projects", "--limit", "1000")["projects"])
    done = desk.says("submit", *args, "--wait")
    assert done.exit_code == code, done.output
    made = len(desk.told("projects", "--limit", "1000")["projects"]) - before
    assert made == (0 if code == 2 else 1), "what is wrong is told before anything is done"


def test_what_was_stopped_ends_with_four(desk: Desk) -> None:
    mark = desk.root / "mark"
    mark.touch()
    waiting = desk.begins("submit", "steps.yaml", "--name", "stopped", "--set", f"MARK={mark}", "--wait")
    until(lambda: found(desk, "stopped") and desk.told("show", "stopped")["project"]["state"] == "running", 30)
    assert desk.says("stop", "stopped", "first", "--kill").exit_code == 0
    assert waiting.wait(30) == 4, waiting.communicate()


def found(desk: Desk, name: str) -> bool:
    return any(p["name"] == name for p in desk.told("projects", "--text", name)["projects"])


def test_what_happens_is_shown_and_a_question_is_answered_from_elsewhere(desk: Desk) -> None:
    done = desk.says("submit", "gated.yaml", "--name", "shown", "--follow")
    assert done.exit_code == 3 and "0001-first | hello" in done.stdout
    identifier = desk.told("show", "shown")["project"]["id"]
    assert f"winslow gate {identifier} g1 --go" in done.stderr
    assert f"to look at: {identifier}:stages/0001-first/output/t.csv" in done.stderr
    gate = desk.told("gate", "shown")["gates"][0]
    location = gate["look_at"][0]
    assert desk.says("files", "get", location, "seen.csv").exit_code == 0
    assert (desk.root / "seen.csv").read_text() == "a,b\n"
    assert desk.says("gate", "shown", "--go").exit_code == 0
    assert desk.says("follow", "shown").exit_code == 0


def test_a_person_at_a_terminal_is_asked_and_sees_small_tables(desk: Desk) -> None:
    person = desk.sits("submit", str(desk.root / "gated.yaml"), "--name", "asked", "--follow")
    try:
        person.reads("Start second?")
        person.reads("a  b")
        person.reads("Answer:")
        person.types("go")
        assert person.ends() == 0, person.said
    finally:
        person.close()


def test_ctrl_c_leaves_and_pauses_nothing(desk: Desk) -> None:
    mark = desk.root / "mark"
    mark.touch()
    person = desk.sits("submit", str(desk.root / "steps.yaml"), "--name", "left", "--set", f"MARK={mark}", "--follow")
    try:
        person.reads("0001-first | hello")
        person.presses(b"\x03")
        person.reads("goes on. Look again with: winslow follow")
        assert person.ends() == 130
    finally:
        person.close()
    assert desk.told("show", "left")["project"]["pause"] is None
    mark.unlink()
    assert desk.says("follow", "left", "--wait").exit_code == 0


def test_a_pipeline_of_the_library_is_submitted_by_its_name(desk: Desk) -> None:
    client = httpx.Client(base_url=desk.parts.url, headers={"Authorization": f"Bearer {desk.parts.token()}"})
    text = GATED.replace("name: gated", "name: shelf one")
    assert client.post("/api/v1/pipelines", json={"text": text}).status_code == 201
    done = desk.told("submit", "shelf one", "--name", "by name")
    assert done["project"]["pipeline"] == "shelf one"


def test_a_folder_of_code_comes_along(desk: Desk) -> None:
    folder = desk.root / "folder"
    folder.mkdir()
    (folder / "run.py").write_text("print('from the folder')")
    (folder / "pipeline.yaml").write_text(
        "winslow: 1\nname: coded\nstages:\n  - id: only\n    command: [python, '${WINSLOW_PIPELINE}/run.py']\n"
    )
    assert desk.says("submit", "folder", "--name", "coded", "--wait").exit_code == 0
    assert "from the folder" in desk.says("log", "coded").stdout


# --- inputs


def test_a_file_is_sent_whatever_it_is_called(desk: Desk) -> None:
    names = ["a b.mp4", "größe ß.mp4", "-x.mp4", "a:b.mp4", "🚗.mp4", "%2e%2e.mp4", "a=b.mp4", "#?&.mp4"]
    given, sums = [], []
    for name in names:
        (desk.root / name).write_bytes(os.urandom(1000))
        given += ["--input", f"VIDEOS=./{name}"]
        sums.append(hashlib.sha256((desk.root / name).read_bytes()).hexdigest())
    done = desk.told("submit", "videos.yaml", *given, "--wait")
    assert done["project"]["values"]["VIDEOS"].split("\n") == names
    assert desk.says("log", done["project"]["id"]).stdout.split() == sums


@pytest.mark.parametrize("name", ["a\nb.mp4", "a\rb.mp4", "\udcff.mp4"])
def test_a_name_with_a_line_break_or_bytes_that_are_no_text_is_refused(desk: Desk, name: str) -> None:
    (desk.root / name).write_bytes(b"x")
    done = desk.says("submit", "video.yaml", "--input", f"VIDEO={desk.root}/{name}")
    assert done.exit_code == 2 and "[cli.input_name]" in done.stderr


def test_what_is_there_already_is_not_sent_again_and_another_content_gets_a_number(desk: Desk) -> None:
    file = desk.root / "twice.mp4"
    file.write_bytes(os.urandom(9_000_000))
    first = desk.told("submit", "video.yaml", "--input", "twice.mp4", "--wait")
    sent = upload_count(desk)
    again = desk.told("submit", "video.yaml", "--input", "twice.mp4", "--name", "again")
    elsewhere = Desk(tmp(desk, "other"), desk.parts, desk.environ["WINSLOW_TOKEN"])  # remembers nothing
    shutil.copy(file, elsewhere.root / "twice.mp4")
    third = elsewhere.told("submit", "video.yaml", "--input", "twice.mp4", "--name", "third")
    assert [p["project"]["values"]["VIDEO"] for p in (first, again, third)] == ["twice.mp4"] * 3
    assert upload_count(desk) == sent
    file.write_bytes(os.urandom(9_000_000))
    changed = desk.says("submit", "video.yaml", "--input", "twice.mp4", "--name", "changed")
    assert "this one is twice-2.mp4 there" in changed.stderr
    assert desk.told("show", "changed")["project"]["values"]["VIDEO"] == "twice-2.mp4"


def upload_count(desk: Desk) -> int:
    return desk.parts.said("serve").count("method=PATCH route=/api/v1/uploads")


def tmp(desk: Desk, name: str) -> Path:
    made = desk.root / name
    made.mkdir()
    return made


def test_what_cannot_be_read_is_told_before_anything_is_sent(desk: Desk) -> None:
    for args in (["nothing.mp4"], ["."], ["steps.yaml"]):
        done = desk.says("submit", "video.yaml", "--input", *args)
        assert done.exit_code == 2, done.output


# --- all the other commands


def test_every_verb_works_on_a_project_of_a_server(desk: Desk) -> None:
    assert desk.says("submit", "gated.yaml", "--name", "verbs", "--wait").exit_code == 3
    for args in (
        ["comment", "verbs", "look at this"],
        ["set", "verbs", "TEXT=ho"],
        ["pause", "verbs", "--comment", "wait"],
        ["resume", "verbs", "--single"],
        ["skip", "verbs", "second"],
        ["redo", "verbs", "first", "--set", "TEXT=again", "--comment", "why"],
        ["enqueue", "verbs", "first"],
        ["reorder", "verbs", "first"],
        ["edit", "verbs", "steps.yaml"],
        ["stop", "verbs"],
        ["show", "verbs"],
        ["show", "verbs", "first"],
        ["delete", "verbs", "--yes"],
        ["restore", "verbs"],
    ):
        done = desk.says(*args)
        assert done.exit_code == 0 or (args[0] == "reorder" and "[" in done.stderr), (args, done.output)
    project = desk.told("show", "verbs")["project"]
    assert project["values"] == {"TEXT": "ho"} and len(project["stages"]) >= 3
    assert project["trashed"] is None and project["pipeline"] == "steps"


def test_secrets_go_along_and_are_never_shown(desk: Desk) -> None:
    text = GATED.replace("stages:", "secrets: {LICENCE: {required: true}}\nstages:", 1).replace(
        "  - id: first\n", "  - id: first\n    secrets: [LICENCE]\n"
    ).replace('echo "$TEXT";', 'printf %s "$LICENCE" | wc -c;')  # fmt: skip
    (desk.root / "secret.yaml").write_text(text)
    refused = desk.says("submit", "secret.yaml")
    assert refused.exit_code == 2 and "[cli.secret_missing]" in refused.stderr
    done = desk.says("submit", "secret.yaml", "--name", "secret", "--wait", LICENCE="a very secret text")
    assert done.exit_code == 3 and desk.says("log", "secret").stdout.strip() == "18"
    given = desk.says("set", "secret", "--secret", "LICENCE", LICENCE="another secret")
    assert given.exit_code == 0
    assert "secret text" not in desk.says("show", "secret", "first", "--json").stdout


def test_files_are_listed_fetched_put_and_deleted(desk: Desk) -> None:
    (desk.root / "x y.csv").write_text("1,2\n")
    assert desk.says("files", "put", "x y.csv", "top folder/").stdout == "top folder/x y.csv\n"
    assert desk.says("files", "mkdir", "top folder/empty").exit_code == 0
    listed = desk.told("files", "ls", "top folder")
    assert [(f["name"], f["kind"]) for f in listed["files"]] == [("empty", "folder"), ("x y.csv", "file")]
    assert "x y.csv" in desk.says("files", "ls", "inputs:top folder").stdout
    assert desk.says("files", "get", "top folder", "here").exit_code == 0
    assert (desk.root / "here" / "x y.csv").read_text() == "1,2\n"
    (desk.root / "x y.csv").write_text("other\n")
    taken = desk.says("files", "put", "x y.csv", "top folder/")
    assert taken.exit_code == 2 and "[path.taken]" in taken.stderr
    assert desk.says("files", "put", "x y.csv", "top folder/", "--replace").exit_code == 0
    again = desk.says("files", "get", "top folder/x y.csv", "here/x y.csv")
    assert again.exit_code == 2 and (desk.root / "here" / "x y.csv").read_text() == "1,2\n"
    assert desk.says("files", "rm", "top folder").exit_code == 0
    gone = desk.says("files", "ls", "top folder")
    assert gone.exit_code == 2 and "[path.not_found]" in gone.stderr
    for args in (["rm", ""], ["rm", "inputs:"], ["get", "nothing"], ["ls", "nobody:output"], ["put", "nothing.csv"]):
        assert desk.says("files", *args).exit_code == 2, args


def test_the_page_of_a_project_is_told_where_there_is_no_screen(desk: Desk) -> None:
    done = desk.told("submit", "steps.yaml", "--name", "page")
    assert desk.says("open", "page").stdout == f"{desk.parts.url}/projects/{done['project']['id']}\n"
    assert desk.says("open").stdout == f"{desk.parts.url}\n"


def test_doctor_is_for_administrators(desk: Desk) -> None:
    refused = desk.says("doctor")
    assert refused.exit_code == 2 and "[access.denied]" in refused.stderr
    told = desk.says("doctor", "--json", WINSLOW_TOKEN=desk.parts.token("ann"))
    assert json.loads(told.stdout)["findings"]


# --- coming in


def test_a_log_in_makes_a_token_for_this_machine_that_only_its_owner_can_read(stranger: Desk) -> None:
    parts = stranger.parts
    done = stranger.says("login", parts.url, "--user", "mem", typed=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    assert f"Logged in to {parts.url} as mem" in done.stderr
    file = stranger.root / ".config" / "winslow" / "contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert PASSWORD not in file.read_text()
    token = next(t for t in parts.people.tokens(user="mem") if t.name.startswith("winslow on "))
    assert token.scopes == {"read", "run", "files", "manage"} and token.expires is not None
    assert stranger.says("projects").exit_code == 0
    out = stranger.says("logout")
    assert "its token is withdrawn" in out.stderr
    assert token.id not in {t.id for t in parts.people.tokens(user="mem")}
    assert json.loads(file.read_text())["contexts"] == {}


def test_a_wrong_password_is_told_and_stores_nothing(stranger: Desk) -> None:
    done = stranger.says("login", stranger.parts.url, "--user", "mem", typed="something else\n")
    assert done.exit_code == 2 and "[session.refused]" in done.stderr
    assert not (stranger.root / ".config").exists()


def test_a_log_in_link_lets_in_once(stranger: Desk) -> None:
    link = f"{stranger.parts.url}/login#{stranger.parts.people.make_link('vic', 60)}"
    assert stranger.says("login", link).exit_code == 0
    assert stranger.told("contexts")["contexts"][0]["user"] == "vic"
    again = stranger.says("login", link)
    assert again.exit_code == 2 and "[session.link]" in again.stderr


def test_a_token_of_ones_own_is_taken(stranger: Desk) -> None:
    token = stranger.parts.token("vic", "read")
    assert stranger.says("login", stranger.parts.url, "--token", typed=f"{token}\n").exit_code == 0
    assert stranger.says("projects").exit_code == 0
    denied = stranger.says("submit", "steps.yaml")
    assert denied.exit_code == 2 and "[access.denied]" in denied.stderr
    wrong = stranger.says("login", stranger.parts.url, "--token", typed="hello\n")
    assert wrong.exit_code == 2 and "[server.token]" in wrong.stderr


def test_two_servers_are_told_apart_and_this_machine_is_a_third(stranger: Desk, tmp_path: Path) -> None:
    parts, token = stranger.parts, stranger.parts.token
    for name, user in (("lab", "mem"), ("office", "vic")):
        args = ("login", parts.url, "--token", "--context", name)
        assert stranger.says(*args, typed=f"{token(user)}\n").exit_code == 0
    assert stranger.told("contexts")["current"] == "office"
    made = stranger.told("--context", "lab", "submit", "steps.yaml", "--name", "of the lab")
    assert made["project"]["author"] == "mem"
    assert stranger.says("submit", "steps.yaml").exit_code == 2  # vic only looks
    assert stranger.says("submit", "steps.yaml", WINSLOW_CONTEXT="lab").exit_code == 0
    assert stranger.says("contexts", "lab").exit_code == 0
    assert stranger.says("submit", "steps.yaml").exit_code == 0
    home = {"WINSLOW_HOME": str(tmp_path / "data")}
    assert stranger.says("projects", **home).stdout == "There are no projects.\n"
    assert stranger.says("--context", "local", "projects", XDG_DATA_HOME=str(tmp_path / "d")).exit_code == 0
    assert stranger.says("--context", "lab", "projects", **home).stdout.count("steps") > 0
    nobody = stranger.says("--context", "labb", "projects")
    assert nobody.exit_code == 2 and "Did you mean lab?" in nobody.stderr
    assert stranger.says("logout", "office").exit_code == 0
    assert stranger.told("contexts")["current"] == "lab"


def test_contexts_that_others_can_read_are_not_used(stranger: Desk) -> None:
    stranger.says("login", stranger.parts.url, "--token", typed=f"{stranger.parts.token()}\n")
    (stranger.root / ".config" / "winslow" / "contexts.json").chmod(0o644)
    done = stranger.says("projects")
    assert done.exit_code == 2 and "[context.open]" in done.stderr


# --- what does not let in


def test_a_token_that_is_wrong_withdrawn_or_expired_is_told_with_the_way_out(desk: Desk) -> None:
    people, now = desk.parts.people, desk.parts.installation.clock.now()
    expired = people.add_token("mem", "old", frozenset({"read"}), expires=now - timedelta(seconds=1))[1]
    token, withdrawn = people.add_token("mem", "gone", frozenset({"read"}))
    people.remove_token(token.id)
    wrong = "wn_abcdefghij_" + "x" * 43
    for secret in (expired, withdrawn, wrong):
        done = desk.says("projects", WINSLOW_TOKEN=secret)
        assert done.exit_code == 2 and "[session.required]" in done.stderr
        assert f"winslow login {desk.parts.url}" in done.stderr and secret not in done.output
    none = desk.says("projects", WINSLOW_TOKEN="")
    assert none.exit_code == 2 and "[session.no_token]" in none.stderr


def test_a_server_that_is_away_ends_with_five_and_says_what_to_do(desk: Desk) -> None:
    away = {"WINSLOW_URL": f"http://127.0.0.1:{free_port()}"}
    done = desk.says("submit", "steps.yaml", **away)
    assert done.exit_code == 5 and "[server.away]" in done.stderr and "repeating is safe" in done.stderr
    unknown = desk.says("projects", WINSLOW_URL="http://nowhere.invalid")
    assert unknown.exit_code == 5


@pytest.mark.parametrize(
    "url", ["ftp://x", "winslow.example.org", "http://", "https://a:b@c", "http://x/winslow", "http://[::1"]
)
def test_what_is_no_address_is_told(desk: Desk, url: str) -> None:
    done = desk.says("projects", WINSLOW_URL=url)
    assert done.exit_code == 2 and "[server.address]" in done.stderr


def test_a_certificate_of_nobody_known_is_not_trusted_and_an_own_authority_is(
    stranger: Desk,
    running_server: Embedded,  # noqa: F811
    tmp_path: Path,
) -> None:
    from tests.api.test_serving import certificate as make

    pem, key = make.__wrapped__(type("World", (), {"home": tmp_path})())  # type: ignore[attr-defined]
    address = running_server.address
    client, reader = state_client(address), reader_client(address)
    root = Path(tempfile.mkdtemp(prefix="tls-", dir="/tmp"))
    parts = Parts(root, Server(address, client, reader, Keys(f"t{secrets.token_hex(4)}")))
    parts.environ |= {"WINSLOW_TLS_CERTIFICATE": str(pem), "WINSLOW_TLS_KEY": str(key)}
    try:
        parts.start("serve")
        url = f"https://127.0.0.1:{parts.port}"
        refused = stranger.says("login", url, "--user", "mem", typed=f"{PASSWORD}\n")
        assert refused.exit_code == 2 and "[server.certificate]" in refused.stderr and "WINSLOW_CA" in refused.stderr
        done = stranger.says("login", url, "--user", "mem", "--ca", str(pem), typed=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output
        assert "not encrypted" not in done.stderr
        assert stranger.says("projects").exit_code == 0
        plain = stranger.says("projects", WINSLOW_URL=url.replace("https", "http"), WINSLOW_TOKEN=parts.token())
        assert plain.exit_code == 5
    finally:
        parts.close()
        client.close()
        reader.close()
        shutil.rmtree(root, ignore_errors=True)


def test_something_that_is_no_winslow_is_told(desk: Desk) -> None:
    class Other(BaseHTTPRequestHandler):
        status, kind, location = 200, "text/html", ""

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.send_header("Content-Type", self.kind)
            if self.location:
                self.send_header("Location", self.location)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None: ...

    other = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    wire = Wire(f"http://127.0.0.1:{other.server_port}", desk.parts.token(), patience=0.2)
    try:
        for status, location, code, kind in (
            (200, "", "server.other", Invalid),
            (404, "", "server.other", Invalid),
            (301, "https://evil.example/", "server.moved", Invalid),
            (502, "", "server.away", Unavailable),
        ):
            Other.status, Other.location = status, location
            with pytest.raises(kind) as error:
                HttpClient(wire).projects()
            assert error.value.code == code, status
    finally:
        other.shutdown()
        other.server_close()


# --- people


def test_an_administrator_lets_people_in_and_go(desk: Desk) -> None:
    parts = desk.parts
    desk.environ["WINSLOW_TOKEN"] = parts.token("ann")
    added = desk.says("users", "add", "grace", "--role", "member", "--name", "Grace H.", "--email", "g@example.org")
    assert added.exit_code == 0 and f"{parts.url}/login#" in added.stdout
    assert desk.says("users", "password", "grace", typed="sixteen quiet horses\n").exit_code == 0
    assert parts.people.log_in("grace", "sixteen quiet horses", "here").session.user == "grace"
    assert desk.says("users", "role", "grace", "maintainer").exit_code == 0
    assert "Grace H." in desk.says("users", "list").stdout
    parts.people.add_token("grace", "hers", frozenset({"read"}))
    (token,) = desk.told("tokens", "list", "grace")["tokens"]
    assert desk.says("tokens", "withdraw", "grace", token["id"]).exit_code == 0
    assert "hers" not in desk.says("tokens", "list", "grace").stdout
    gone = desk.says("users", "deactivate", "grace", "--heir", "mem")
    assert gone.exit_code == 0 and "mem has got 0 projects" in gone.stderr
    assert desk.says("users", "activate", "grace").exit_code == 0
    refused = desk.says("tokens", "add", "grace", "--name", "x")
    assert refused.exit_code == 2 and "[token.needs_session]" in refused.stderr
    for args in (["add", "grace"], ["role", "grace", "king"], ["link", "nobody"], ["password", "nobody"]):
        assert desk.says("users", *args, typed="x\n").exit_code == 2, args
    denied = desk.says("users", "add", "eve", WINSLOW_TOKEN=parts.token("mem"))
    assert denied.exit_code == 2 and "[access.denied]" in denied.stderr


def test_on_the_servers_own_machine_nobody_is_locked_out(stranger: Desk) -> None:
    parts = stranger.parts
    here = {k: v for k, v in parts.environ.items() if k.startswith(("WINSLOW_", "REDIS_"))}
    assert "ann" in stranger.says("users", "list", **here).stdout
    assert stranger.says("users", "password", "ann", typed="seven loud trumpets\n", **here).exit_code == 0
    assert parts.people.log_in("ann", "seven loud trumpets", "there").session.user == "ann"
    link = stranger.says("users", "link", "ann", **here).stdout
    assert parts.people.log_in_by_link(link.strip().partition("#")[2], "there").session.user == "ann"
    token = stranger.says("tokens", "add", "ann", "--name", "robot", "--scope", "read", "--days", "1", **here).stdout
    who = parts.people.of_token(token.strip())
    assert who is not None and who.user == "ann" and who.scopes == {"read"}
    state, clock, keys = parts.installation.state, parts.installation.clock, parts.installation.keys
    rows, _ = RedisAudit(state, clock, keep=timedelta(days=1), keys=keys).read(limit=5)
    assert {r.entry.what for r in rows} >= {"set_password", "make_link", "make_token"}


# --- registries


def test_an_administrator_gives_winslow_a_log_in_for_a_registry(desk: Desk, stranger: Desk) -> None:
    parts = desk.parts
    recorded = Recorded()
    recorded.login = ADA
    recorded.documents["open"]["/v2/"] = {"status": 200, "body": "e30=", "headers": {}}
    desk.environ["WINSLOW_TOKEN"] = parts.token("ann")
    with Serving(recorded) as serving:
        wrong = desk.says("registries", "set", serving.host, "--user", ADA[0], typed="not it\n")
        assert wrong.exit_code == 0 and "It is stored. But the registry" in wrong.stderr
        assert "not it" not in wrong.stderr
        assert "[image.denied]" in desk.says("registries", "check", serving.host).stderr
        right = desk.says("registries", "set", serving.host, "--user", ADA[0], typed=f"{ADA[1]}\n")
        assert right.exit_code == 0 and f"{serving.host} takes it" in right.stderr
        assert desk.says("registries", "check", serving.host).exit_code == 0
    (login,) = desk.told("registries", "list")["registries"]
    assert (login["host"], login["user"], login["by"]) == (serving.host, "ada", "ann")
    assert serving.host in desk.says("registries", "list").stdout
    away = desk.says("registries", "check", serving.host)
    assert away.exit_code == 5 and "[registry.unavailable]" in away.stderr
    denied = desk.says("registries", "list", WINSLOW_TOKEN=parts.token("mem"))
    assert denied.exit_code == 2 and "[access.denied]" in denied.stderr
    here = {k: v for k, v in parts.environ.items() if k.startswith(("WINSLOW_", "REDIS_"))}
    assert "ada" in stranger.says("registries", "list", **here).stdout, "also on the server's own machine"
    assert stranger.says("registries", "remove", serving.host, **here).exit_code == 0
    assert desk.told("registries", "list")["registries"] == []
    for words in (["remove", serving.host], ["check", "nonsense"], ["set", "https://x.org", "--user", "a"]):
        assert desk.says("registries", *words, typed="x\n").exit_code == 2, words
    assert "[cli.not_given]" in desk.says("registries", "set", "docker.io", "--user", "a").stderr


# --- versions


def test_an_answer_that_cannot_be_understood_names_both_versions(desk: Desk) -> None:
    wire = Wire(desk.parts.url, desk.parts.token())
    for ask in (lambda: wire.read(Finding, "about"), lambda: wire.get("nothing/of/the/kind")):
        call: Callable[[], object] = ask
        with pytest.raises(WinslowError) as error:
            call()
        assert error.value.code == "server.version"
        assert f"It is Winslow {__version__}, and this is {__version__}" in error.value.message
    wire.close()
