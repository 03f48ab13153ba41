"""Pipeline files: what a right one means, and what is said about a wrong one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.resources.wrong_pipelines import WRONG
from tests.waiting import until
from winslow_nomad.core.errors import Invalid, InvalidPipeline, NotFound
from winslow_nomad.core.pipeline import (
    GIB,
    Chart,
    Confirm,
    Gpu,
    LogParser,
    Parameter,
    ParameterKind,
    Pipeline,
    Placement,
    Resources,
    ResultKind,
    Retry,
    Secret,
    StageDefinition,
    SweepPolicy,
)
from winslow_nomad.resources.definitions import parse, read, take, write
from winslow_nomad.resources.layout import MARK
from winslow_nomad.resources.pipeline_keys import PIPELINE
from winslow_nomad.resources.pipeline_keys import STAGE as STAGE_TABLE
from winslow_nomad.resources.schema import schema

ROOT = Path(__file__).parents[2]
HEAD = "winslow: 1\nname: t\n"
STAGE = "stages:\n  - id: detect\n    command: [detect]\n"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    (made / MARK).write_text("{}")
    return made


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidPipeline) as caught:
        parse(text, "p.yaml")
    return [str(p) for p in caught.value.problems]


def first(text: str) -> StageDefinition:
    return parse(HEAD + text).stages[0]


# -- right ones

FULL = """\
winslow: 1
name: traffic
title: Vehicles in a street video
description: |
  Counts what drives by.
parameters:                                           # form fields, and environment variables of every stage
  VIDEO:    {type: file, title: Video, accept: [.mp4, .mkv]}
  MIN_AREA: {type: integer, default: 300, min: 20, max: 100000, help: Smallest blob in pixels}
  MODEL:    {type: choice, options: [fast, exact], default: fast}
secrets: {LICENCE: {required: false}}
environment: {LOG_LEVEL: info}
defaults: {image: "traffic:1.2", timeout: 12h}
stages:
  - id: detect
    command: [python, "${WINSLOW_PIPELINE}/detect.py"]
    secrets: [LICENCE]
    required: [CAMERA]
    resources: {cpu: 2, memory: 4 GiB, memory_max: 6 GiB, shm: 1 GiB, gpu: {count: 1, memory: 8 GiB, model: "RTX*"}}
    placement: {pool: default, require: [fast-disk], prefer: previous_node}
    stop_grace: 2m
    patience: 5m
    retry: {node_lost: 3, failed: 0, timeout: 0, delay: 30s, workspace: continue}
    results: {vehicles: integer}
    sweep: {max_running: 2, on_failure: continue, workspace: nested}
    charts: [{file: counts.csv, x: second, y: [vehicles]}]
    log_parsers:
      - {file: "${kind}.csv", pattern: '(?P<kind>a+)=(?P<n>1)', columns: {n: "${n}"}, lines: 2, stream: err}
    run_as: image
  - id: track
    needs: [detect]
    confirm: {ask: always, show: [detect/preview.jpg, detect/counts.csv]}
    command: [python, "${WINSLOW_PIPELINE}/track.py"]
  - id: slow_check
    needs: [detect]
    when: detect.results.vehicles > 100
    command: [python, "${WINSLOW_PIPELINE}/slow_check.py"]
  - id: report
    needs: [track, slow_check]
    join: any
    gather: true
    workspace: track
    pause_after: true
    entrypoint: []
    command: [python, "${WINSLOW_PIPELINE}/report.py"]
"""


def code(name: str) -> tuple[str, str]:
    return "python", f"${{WINSLOW_PIPELINE}}/{name}.py"


FULL_PIPELINE = Pipeline(
    name="traffic",
    title="Vehicles in a street video",
    description="Counts what drives by.\n",
    parameters={
        "VIDEO": Parameter(kind=ParameterKind.FILE, title="Video", accept=(".mp4", ".mkv")),
        "MIN_AREA": Parameter(
            kind=ParameterKind.INTEGER, default="300", min="20", max="100000", help="Smallest blob in pixels"
        ),
        "MODEL": Parameter(kind=ParameterKind.CHOICE, options=("fast", "exact"), default="fast"),
    },
    secrets={"LICENCE": Secret(required=False)},
    environment={"LOG_LEVEL": "info"},
    stages=(
        StageDefinition(
            id="detect",
            image="traffic:1.2",
            timeout=43200,
            command=code("detect"),
            secrets=("LICENCE",),
            required=("CAMERA",),
            resources=Resources(
                cpu=2, memory=4 * GIB, memory_max=6 * GIB, shm=GIB, gpu=Gpu(count=1, memory=8 * GIB, model="RTX*")
            ),
            placement=Placement(pool="default", require=("fast-disk",), prefer="previous_node"),
            stop_grace=120,
            patience=300,
            retry=Retry(node_lost=3, failed=0, timeout=0, delay=30, workspace="continue"),
            results={"vehicles": ResultKind.INTEGER},
            sweep=SweepPolicy(max_running=2, on_failure="continue", workspace="nested"),
            charts=(Chart(file="counts.csv", x="second", y=("vehicles",)),),
            log_parsers=(
                LogParser(
                    file="${kind}.csv", pattern="(?P<kind>a+)=(?P<n>1)", columns={"n": "${n}"}, lines=2, stream="err"
                ),
            ),
            run_as="image",
        ),
        StageDefinition(
            id="track",
            image="traffic:1.2",
            timeout=43200,
            needs=("detect",),
            confirm=Confirm(ask="always", show=("detect/preview.jpg", "detect/counts.csv")),
            command=code("track"),
        ),
        StageDefinition(
            id="slow_check",
            image="traffic:1.2",
            timeout=43200,
            needs=("detect",),
            when="detect.results.vehicles > 100",
            command=code("slow_check"),
        ),
        StageDefinition(
            id="report",
            image="traffic:1.2",
            timeout=43200,
            needs=("track", "slow_check"),
            join="any",
            gather=True,
            workspace="track",
            pause_after=True,
            entrypoint=(),
            command=code("report"),
        ),
    ),
)


def test_every_key_is_read_as_it_is_meant() -> None:
    assert parse(FULL) == FULL_PIPELINE


def test_the_example_uses_every_key_there_is() -> None:
    """So that no key can be forgotten above."""
    assert {k.name for k in PIPELINE.keys} <= set(re.findall(r"^(\w+):", FULL, re.M))
    assert {k.name for k in STAGE_TABLE.keys} - set(re.findall(r"\b(\w+):", FULL)) == set()


def test_windows_line_ends_are_fine() -> None:
    assert parse(FULL.replace("\n", "\r\n")) == FULL_PIPELINE


def test_without_needs_the_list_is_the_order() -> None:
    found = parse(HEAD + STAGE + "  - {id: b, command: [x]}\n  - {id: c, command: [x]}\n")
    assert [s.needs for s in found.stages] == [(), ("detect",), ("b",)]


def test_with_needs_stages_may_start_side_by_side_and_stand_in_any_order() -> None:
    found = parse(
        HEAD + "stages:\n  - {id: last, command: [x], needs: [a, b]}\n"
        "  - {id: a, command: [x], needs: []}\n  - {id: b, command: [x], needs: []}\n"
    )
    assert found.first == ("a", "b")


@pytest.mark.parametrize(
    "text", ["1.10", "NO", "010", "1:30", "0x1F", "1e3", "~", "null", "2026-01-01", "on", "=", "1_000"]
)
def test_scalars_keep_their_source_text(text: str) -> None:
    found = parse(HEAD + f"environment: {{A: {text}}}\nparameters: {{P: {{type: string, default: {text}}}}}\n" + STAGE)
    assert found.environment["A"] == text
    assert found.parameters["P"].default == text


def test_defaults_are_merged_deeply_and_lists_are_replaced() -> None:
    found = parse(
        HEAD + "defaults:\n  environment: {A: shared, B: shared}\n  resources: {cpu: 4, gpu: {count: 2, model: A100}}\n"
        "  required: [X]\n"
        "stages:\n  - id: a\n    command: [x]\n    environment: {B: own}\n    required: [Y]\n"
        "    resources: {memory: 2 GiB, gpu: {count: 1}}\n"
        "  - {id: b, command: [x], resources: {gpu: {count: 0}}}\n"
    )
    a, b = found.stages
    assert a.environment == {"A": "shared", "B": "own"}
    assert a.required == ("Y",)
    assert a.resources == Resources(cpu=4, memory=2 * GIB, gpu=Gpu(count=1, model="A100"))
    assert b.resources == Resources(cpu=4)
    assert b.environment == {"A": "shared", "B": "shared"}


def test_defaults_of_parameters_are_kept_in_canonical_form() -> None:
    found = parse(HEAD + "parameters:\n  A: {type: integer, default: +007}\n" + STAGE)
    assert found.parameters["A"].default == "7"


def test_a_text_may_hold_references_and_escaped_dollars() -> None:
    stage = first(
        "parameters: {N: {type: integer, default: 1}}\nsecrets: {KEY: {}}\n"
        "stages:\n  - id: a\n    image: 'x:${TAG}'\n    secrets: [KEY]\n    required: [WHO]\n"
        "    environment: {TAG: 'v${N}', URL: 'http://${KEY}@h/${WHO}'}\n"
        "    command: [sh, -c, 'echo $HOME $$5 $1 $(date) ${TAG} ${WINSLOW_OUTPUT}']\n"
    )
    assert stage.image == "x:${TAG}"
    assert stage.command == ("sh", "-c", "echo $HOME $$5 $1 $(date) ${TAG} ${WINSLOW_OUTPUT}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2m", 120), ("6h", 21600), ("1d", 86400), ("1h30m", 5400), ("1.5h", 5400), ("90 s", 90),
     ("2 min", 120), ("1h 30m", 5400), ("1d12h30m5.5s", 131405.5)],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert first(STAGE + f"    timeout: {text}\n").timeout == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GiB", 4 * GIB), ("500 MB", 500_000_000), ("64MiB", 64 * 2**20), ("1.5 GiB", 1536 * 2**20), ("2 gib", 2 * GIB),
     ("1048576 B", 2**20), ("0.1 GB", 100_000_000)],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert first(STAGE + f"    resources: {{memory: {text}}}\n").resources.memory == size


# -- wrong ones


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_answered_with_all_mistakes_their_places_and_their_cures(name: str) -> None:
    text, expected = WRONG[name]
    assert problems(text) == [f"p.yaml:{line}" for line in expected]


def test_problems_have_stable_codes() -> None:
    with pytest.raises(InvalidPipeline) as caught:
        parse(HEAD + "gpus: x\n" + STAGE + "    needs: [b]\n", "p.yaml")
    assert caught.value.code == "pipeline.invalid"
    assert [p.code for p in caught.value.problems] == ["pipeline.unknown_key", "pipeline.undefined_stage"]


def test_a_newer_file_is_answered_with_one_sentence_only() -> None:
    assert problems("winslow: 7\nwhatever: {is: new}\n") == [
        "p.yaml:1:10: this file is written for a newer Winslow: its language is version 7;"
        " this one reads version 1; upgrade Winslow"
    ]


def test_hundreds_of_mistakes_end_at_a_hundred() -> None:
    assert len(problems(HEAD + "".join(f"key_{i}: x\n" for i in range(5000)))) == 100


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbfwinslow: 1\n", "1:1: the file begins with a byte order mark; save it as UTF-8 without one"),
        ("winslow: 1\n".encode("utf-16"), "1:1: the file is saved as UTF-16; save it as UTF-8"),
        (b"winslow: 1\nname: stra\xdfe\n", "2:11: the byte 0xdf is not UTF-8; save the file as UTF-8"),
        (b"winslow: 1\nname: a\0b\n", "2:8: a NUL character is in the text; remove it"),
        (b"winslow: 1\ntitle: \x1b[31m\n", "2:8: the unprintable character U+001B is in the text; remove it"),
        (b"a: " + b"x" * 1_000_000, " the file has 1000001 bytes; 1000000 is the limit; is it a pipeline file?"),
        (b"", "1:1: the file is empty; begin with winslow: 1"),
        (b"\x80" * 10, "1:1: the byte 0x80 is not UTF-8; save the file as UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_text_is_answered_with_one_problem(data: bytes, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes(data)
    with pytest.raises(InvalidPipeline) as caught:
        read(file)
    assert [str(p) for p in caught.value.problems] == [f"{file}:{expected}"]


ALIASES = "".join(f"a{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9))
DOUBLED = ", ".join(f"V{i}: '{f'${{V{i - 1}}}${{V{i - 1}}}' if i else 'xx'}'" for i in range(40))


def stages(count: int, needs: Callable[[int], str] = lambda _: "") -> str:
    return HEAD + "stages:\n" + "".join(f"- {{id: s{i}, command: [x]{needs(i)}}}\n" for i in range(count))


BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n" + ALIASES,
    "lists in lists": HEAD + "title: " + "[" * 100_000,
    "mappings in mappings": HEAD + "title: " + "{a: " * 50_000,
    "dashes": HEAD + "title:\n" + "- " * 50_000,
    "steps of indentation": "".join(" " * i + "a:\n" for i in range(1_000)),
    "question marks": "? " * 50_000,
    "many small values": HEAD + "stages: [" + "a," * 400_000 + "]",
    "many keys": HEAD + "".join(f"k{i}: v\n" for i in range(60_000)),
    "chain of stages": stages(500),
    "many stages": stages(3_000),
    "needs of all": stages(180, lambda i: f", needs: [{','.join(f's{j}' for j in range(i))}]"),
    "one long text": HEAD + 'title: "' + "x" * 900_000 + '"\n',
    "long lines of comment": HEAD + ("#" + "x" * 1_000 + "\n") * 900,
    "spaces": HEAD + "title: a" + " " * 900_000 + "b\n",
    "quotes": HEAD + "title: " + "'" * 900_001,
    "references": HEAD + f"environment: {{{DOUBLED}}}\n" + STAGE,
    "long key": "x" * 900_000,
    "unknown long words": HEAD + "".join(f"{'k' * 90}{i}: v\n" for i in range(5_000)),
}


def test_more_stages_than_anybody_can_look_at_are_refused() -> None:
    assert len(parse(stages(500)).stages) == 500
    assert problems(stages(501)) == ["p.yaml:504:3: stages has 501 entries; 500 is the limit"]


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_answered_soon(name: str) -> None:
    before = time.process_time()
    try:
        parse(BOMBS[name])
    except InvalidPipeline as found:
        assert len(found.problems) <= 100
    assert time.process_time() - before < 3


def test_a_bomb_of_aliases_is_named_as_such() -> None:
    assert any("&a is an anchor" in p for p in problems(BOMBS["aliases"]))


# -- files and folders


def folder(tmp_path: Path, text: str = FULL) -> Path:
    made = tmp_path / "mine"
    made.mkdir()
    (made / "pipeline.yaml").write_text(text)
    (made / "detect.py").write_text("print('hello')\n")
    return made


def test_a_folder_has_the_digest_of_its_content(tmp_path: Path) -> None:
    made = folder(tmp_path)
    found = read(made)
    assert found.folder is not None
    assert found.but(folder=None) == FULL_PIPELINE
    (made / "detect.py").write_text("print('other')\n")
    assert read(made).folder not in (None, found.folder)


def test_the_file_in_a_folder_means_the_folder(tmp_path: Path) -> None:
    made = folder(tmp_path)
    assert read(made / "pipeline.yaml") == read(made)


def test_a_single_file_without_code_has_no_folder(tmp_path: Path) -> None:
    for name in ("pipeline.yaml", "other.yaml"):
        (tmp_path / name).write_text(HEAD + STAGE)
        assert read(tmp_path / name).folder is None


def test_a_single_file_that_names_its_folder_is_told_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(FULL)
    with pytest.raises(InvalidPipeline, match="this is a single file; put it into a folder of its own"):
        read(file)


def test_what_is_taken_was_read_from_the_kept_copy(tmp_path: Path, share: Path) -> None:
    made = folder(tmp_path)
    found = take(made, share)
    kept = share / "pipelines" / str(found.folder)
    assert (kept / "pipeline.yaml").read_text() == FULL
    assert found == read(made)
    (tmp_path / "single.yaml").write_text(HEAD + STAGE)
    assert take(tmp_path / "single.yaml", share).folder is None


EDITING = """
import itertools, os, pathlib, sys
file = pathlib.Path(sys.argv[1])
text = file.read_text()
print("on", flush=True)
for number in itertools.count():
    file.with_name("new").write_text(text.replace("Counts", f"{number} counts"))
    os.replace(file.with_name("new"), file)
"""


def test_what_is_taken_while_somebody_edits_is_what_was_kept(tmp_path: Path, share: Path) -> None:
    made = folder(tmp_path)
    (made / ".winslowignore").write_text("new\n")
    command = [sys.executable, "-c", EDITING, str(made / "pipeline.yaml")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as editor:
        try:
            assert editor.stdout is not None
            editor.stdout.readline()
            taken: dict[str, Pipeline] = {}

            def several() -> bool:
                found = take(made, share)
                taken[str(found.folder)] = found
                return len(taken) >= 25

            until(several, seconds=60)
        finally:
            editor.kill()
    for digest, found in taken.items():
        assert parse((share / "pipelines" / digest / "pipeline.yaml").read_text(), folder=digest) == found


def test_problems_in_a_folder_name_the_file_that_people_edit(tmp_path: Path, share: Path) -> None:
    made = folder(tmp_path, HEAD + "stages: []\n")
    with pytest.raises(InvalidPipeline, match=f"^{re.escape(str(made))}/pipeline.yaml:3:9"):
        take(made, share)
    assert not (share / "pipelines").exists()


def test_what_is_not_there_or_no_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "nope.yaml", tmp_path / "empty"):
        with pytest.raises(NotFound) as caught:
            read(missing)
        assert caught.value.code == "pipeline.not_found"
    for odd in (Path("/dev/null"), Path("/dev/zero"), tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(Invalid) as refused:
            read(odd)
        assert refused.value.code == "pipeline.unreadable"


# -- text, schema, documentation


def test_a_written_pipeline_reads_back_and_is_pleasant() -> None:
    text = write(FULL_PIPELINE)
    assert parse(text) == FULL_PIPELINE
    assert text.startswith("winslow: 1\nname: traffic\ntitle: Vehicles in a street video\ndescription: |\n  Counts")
    assert "  MIN_AREA: {type: integer, help: Smallest blob in pixels, default: 300, min: 20, max: 100000}\n" in text
    assert "memory: 4 GiB" in text
    assert "timeout: 12h" in text


def test_a_written_chain_needs_no_needs() -> None:
    text = write(parse(HEAD + STAGE + "  - {id: b, command: [x]}\n"))
    assert "needs" not in text
    assert text.count("\n") == 7


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*/pipeline.yaml")), ids=lambda p: p.parent.name)
def test_the_pipelines_that_come_with_winslow_are_right(path: Path) -> None:
    found = read(path.parent)
    assert found.folder is not None
    assert parse(write(found), folder=found.folder) == found


def test_there_are_pipelines_that_come_with_winslow() -> None:
    assert len(list((ROOT / "pipelines").glob("*/pipeline.yaml"))) >= 2


def test_the_schema_in_the_documentation_is_not_stale() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "winslow_nomad.resources.schema"], capture_output=True, cwd=ROOT, check=True
    ).stdout
    assert (ROOT / "docs" / "pipeline.schema.json").read_bytes() == made
    assert json.loads(made) == schema()


def keys_of(table: dict[str, Any]) -> set[str]:
    found: set[str] = set(table.get("properties", {}))
    for below in table.values():
        if isinstance(below, dict):
            for part in [below, *(b for b in below.values() if isinstance(b, dict))]:
                found |= keys_of(part)
    return found


def test_every_key_is_in_the_documentation() -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text()
    described = set(re.findall(r"`([\w.]+)`", page))
    missing = [key for key in sorted(keys_of(schema())) if key not in {d.split(".")[-1] for d in described}]
    assert missing == []


def test_every_example_in_the_documentation_is_right() -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.S)
    whole = [b for b in blocks if b.startswith("winslow: 1")]
    assert whole
    for block in whole:
        parse(block)
    for part in [b for b in blocks if not b.startswith("winslow: 1")]:
        # a part shows one stage of a pipeline
        parse(f"{DOC_HEAD}{part}")


DOC_HEAD = """\
winslow: 1
name: part
parameters: {MIN_AREA: {type: integer, default: 300}, MODEL: {type: choice, options: [fast, exact], default: fast}}
secrets: {LICENCE: {}}
stages:
  - {id: detect, command: [x], needs: [], results: {vehicles: integer, day: boolean}}
  - {id: other, command: [x], needs: []}
"""
