"""Bad input to every command, each in a process of its own, on a home with work in it: one sentence that says what
happened and what to do, a code, an exit code, and nothing is changed. What a pipeline file may do wrong in detail is
tested with its reader, and what a value may with the core."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos.world import CLI, ROOT
from tests.faults import forked
from tests.faults.server import a_server
from tests.faults.system import a_share, command
from tests.waiting import until
from winslow_nomad import config
from winslow_nomad.bootstrap import open_client, read_pipeline
from winslow_nomad.bootstrap.client import LocalClient
from winslow_nomad.cli.main import app
from winslow_nomad.core import messages as m
from winslow_nomad.store.keys import Keys

GOOD = """\
winslow: 1
name: good
parameters:
  VIDEO: {type: file, accept: [.mp4]}
  FRAMES: {type: integer, default: 3, min: 1, max: 9}
  CITY: {type: string, default: Bonn}
secrets: {LICENCE: {required: false}}
stages:
  - {id: a, command: ['true']}
  - {id: b, command: ['true'], confirm: {ask: always}}
"""
PIPELINES = {
    "good.yaml": GOOD,
    "syntax.yaml": "winslow: 1\nname: x\nstages:\n  - {id: a, command: [true}\n",
    "tab.yaml": "winslow: 1\nname: x\nstages:\n\t- id: a\n",
    "cycle.yaml": "winslow: 1\nname: x\nstages:\n  - {id: a, command: ['true'], needs: [b]}\n"
    "  - {id: b, command: ['true'], needs: [a]}\n",
    "undefined.yaml": "winslow: 1\nname: x\nstages:\n  - {id: a, command: ['true']}\n"
    "  - {id: b, command: ['true'], needs: [missing]}\n",
    "newer.yaml": "winslow: 99\nname: x\nstages: []\n",
    "binary.yaml": "\x00\x01\x02",
    "laughs.yaml": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "deep.yaml": "winslow: " + "[" * 200_000,
    "large.yaml": "winslow: 1\nname: x\ntitle: '" + "x" * (20 << 20) + "'\n",
    "denied.yaml": GOOD,
}
SETTINGS = {
    "none": "share = 5 [\n",
    "unknown": 'sharre = "x"\n',
    "twice": "cpu = 1\ncpu = 2\n",
    "deep": "x = " + "[" * 50_000,
    "number": "share = 5\n",
    "empty": 'share = ""\n',
    "truth": "cpu = true\n",
    "roots": 'roots = "x"\n',
    "root": '[roots]\nrecordings = "recordings"\n',
    "out": '[roots]\n"../x" = "/tmp"\n',
    "variable": '[environment]\n"A=B" = "x"\n',
    "reserved": '[environment]\nWINSLOW_HOME = "x"\n',
}
ODD = os.fsdecode(b"\xff")  # what a byte that is no text becomes among the arguments
LONG = "x" * 300
PASSWORD = "hunter2"


@dataclass(frozen=True)
class Row:
    """`args`: as in a shell. `says`: what stands in the message; the part that says what to do, where there is room."""

    args: str
    code: str
    says: str
    exit: int = 2
    environment: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()  # arguments that no shell has to quote

    @property
    def name(self) -> str:
        words = [self.args, *(repr(a[:20]) for a in self.more), *(f"{k}={v[:30]}" for k, v in self.environment.items())]
        return " ".join(words).replace("::", ":")[:120]


def with_pipeline(verb: str) -> list[Row]:
    """Whatever reads a pipeline says the same of it."""
    return [
        Row(f"{verb} syntax.yaml", "pipeline.invalid", "syntax.yaml:4:"),
        Row(f"{verb} tab.yaml", "pipeline.invalid", "tab.yaml:4:1: a tab is used where only spaces may stand; indent"),
        Row(f"{verb} cycle.yaml", "pipeline.invalid", "in a circle: a -> b -> a; remove a from the needs of b"),
        Row(f"{verb} undefined.yaml", "pipeline.invalid", "there is no stage missing; there is only a"),
        Row(f"{verb} newer.yaml", "pipeline.invalid", "this one reads version 1; upgrade Winslow"),
        Row(f"{verb} binary.yaml", "pipeline.invalid", "a NUL character is in the text; remove it"),
        Row(f"{verb} laughs.yaml", "pipeline.invalid", "&a is an anchor; remove it"),
        Row(f"{verb} deep.yaml", "pipeline.invalid", "nested more than"),
        Row(f"{verb} large.yaml", "pipeline.invalid", "is the limit; is it a pipeline file?"),
        Row(f"{verb} nothing.yaml", "pipeline.not_found", "Name a pipeline file, or a folder with pipeline.yaml"),
        Row(f"{verb} {LONG}", "pipeline.unreadable", "File name too long"),
        Row(f"{verb} {ODD}", "pipeline.not_found", "Name a pipeline file"),
        Row(f"{verb} empty", "pipeline.not_found", "empty/pipeline.yaml"),
        Row(f"{verb} good.yaml/x", "pipeline.unreadable", "Not a directory"),
        Row(f"{verb} denied.yaml", "pipeline.unreadable", "Permission denied"),
        Row(f"{verb} locked", "pipeline.unreadable", "Permission denied"),
        Row(f"{verb} pipe", "pipeline.unreadable", "not a file"),
        Row(f"{verb} around.yaml", "pipeline.unreadable", "Too many levels of symbolic links"),
        Row(f"{verb} /dev/zero", "pipeline.unreadable", "not a file"),
        Row(f"{verb} with_pipe", "pipeline.folder", "Remove it, or name it in .winslowignore"),
        Row(f"{verb} with_link", "pipeline.folder", "Replace the link by what it names"),
        Row(f"{verb} with_denied", "pipeline.folder", "'code' in it (Permission denied)"),
    ]


def with_overrides(start: str) -> list[Row]:
    return [
        Row(f"{start} --set FRAMES=0", "value.range", "Allowed is 1 to 9"),
        Row(f"{start} --set FRAMES=many", "value.kind", "not an integer"),
        Row(f"{start} --set FRAME=1", "cli.unknown_parameter", "Did you mean FRAMES?"),
        Row(f"{start} --set FRAMES", "cli.not_a_pair", "Write a name, an equals sign and a value"),
        Row(f"{start} --set FRAMES=1 --set FRAMES=2", "cli.given_twice", "Give each name once"),
        Row(f"{start} --set CITY={ODD}", "value.text", "Remove it"),
        Row(f"{start} --env A={ODD}", "value.text", "Write them as text"),
        Row(f"{start} --env {ODD}=1", "cli.not_a_pair", "Write a name"),
        Row(f"{start} --env WINSLOW_HOME=/", "value.name", "not beginning with a digit or with WINSLOW_"),
        Row(f"{start} --image {ODD}", "value.text", "Nothing was changed"),
        Row(f"{start} --comment {ODD}", "value.text", "Nothing was changed"),
        Row(f"{start} --command ' '", "cli.command", "Name one"),
        Row(f'{start} --command "\'"', "cli.command", "Close it"),
        Row(f"{start} --cpu lots", "cli.usage", "--help"),
        Row(f"{start} --cpu nan", "cli.resources", "Give a number above 0"),
        Row(f"{start} --cpu -1", "cli.resources", "Give a number above 0"),
        Row(f"{start} --memory lots", "size.invalid", "Write it as 4 GiB"),
        Row(f"{start} --memory 0", "cli.resources", "Write it as 4 GiB"),
        Row(f"{start} --memory {'9' * 400}TiB", "size.invalid", "Write it as 4 GiB"),
        Row(f"{start} --sweep FRAMES", "sweep.syntax", "Write NAME=1..10:1"),
        Row(f"{start} --sweep FRAMES=1..9:0", "sweep.step", "Give a step"),
        Row(f"{start} --sweep FRAMES=1..99999999999", "sweep.too_large", "Take larger steps"),
        Row(f"{start} --sweep 'FRAMES=1|1'", "sweep.repeated", "name it once"),
        Row(f"{start} --sweep 'FRAMES=1|2' --sweep 'FRAMES=3|4'", "cli.given_twice", "Give it once"),
    ]


TABLE: dict[str, list[Row]] = {
    "run": [
        *with_pipeline("run"),
        Row("run", "cli.what_to_run", "Name a pipeline file or folder"),
        Row("run good.yaml --resume work", "cli.what_to_run", "--resume with a project"),
        Row("run --resume work --set FRAMES=1", "cli.what_to_run", "Change it with winslow set"),
        Row("run --resume nobody", "project.not_found", "`winslow projects` lists them"),
        Row("run good.yaml --set FRAME=1", "cli.unknown_parameter", "Did you mean FRAMES?"),
        Row("run good.yaml --set FRAMES=many", "value.kind", "not an integer"),
        Row("run good.yaml --set FRAMES=0", "value.range", "Allowed is 1 to 9"),
        Row(f"run good.yaml --set CITY={ODD}", "value.text", "Remove it"),
        Row("run good.yaml --set VIDEO=../../x.mp4", "value.path", "leads out"),
        Row("run good.yaml --set VIDEO=/etc/passwd", "value.path", "absolute"),
        Row("run good.yaml --input vide.mp4", "cli.input_missing", "Did you mean video.mp4?"),
        Row("run good.yaml --input around.mp4", "cli.input_missing", "there is no file"),
        Row("run good.yaml --input good.yaml/x.mp4", "cli.input_missing", "Name a file that is there"),
        Row("run good.yaml --input ''", "cli.input_kind", "Name a file"),
        Row("run good.yaml --input empty", "cli.input_kind", "Name a file"),
        Row("run good.yaml --input pipe", "cli.input_kind", "Name a file"),
        Row("run good.yaml --input video.avi", "cli.input_kind", "Accepted are .mp4"),
        Row("run good.yaml --input denied.mp4", "cli.input_unreadable", "Look at its owner and mode"),
        Row("run good.yaml --input locked/x.mp4", "cli.input_unreadable", "Permission denied"),
        Row(f"run good.yaml --input {LONG}", "cli.input_unreadable", "File name too long"),
        Row("run good.yaml --input ~nobody-here/x.mp4", "cli.path", "Write it whole, from / on"),
        Row("run good.yaml", "cli.input_name", "Give it another name", more=("--input", "line\nbreak.mp4")),
        Row("run good.yaml", "cli.input_name", "Give it another name", more=("--input", f"{ODD}.mp4")),
        Row("run good.yaml --input video.mp4 --input video.mp4", "cli.given_twice", "Give --input once for it"),
        Row("run good.yaml --input video.mp4 --set VIDEO=video.mp4", "cli.given_twice", "Give it once"),
        Row("run good.yaml --sweep FRAMES=1..99", "value.range", "Allowed is 1 to 9"),
        Row("run good.yaml --sweep zzz.FRAMES=1..9", "stage.unknown_definition", "It has a, b"),
        Row("run good.yaml --secret NOPE", "cli.unknown_parameter", "There is only LICENCE."),
        Row("run good.yaml --driver nope", "driver.unknown", "The drivers are `local`"),
        Row("run good.yaml", "driver.unknown", "The drivers are `local`", environment={"WINSLOW_DRIVER": "nope"}),
        Row(f"run good.yaml --name {'x' * 501}", "project.name_long", "Give a shorter one"),
    ],
    "up": [],
    "controller": [],
    "worker": [Row("worker everything", "cli.usage", "there is only: operations")],
    "serve": [
        Row("serve --port http", "cli.usage", "--port"),
        Row("serve --port 70000", "cli.usage", "--port"),
        Row("serve --host 192.0.2.1", "serve.exposed", "Set tls_certificate and tls_key"),
        Row("serve --insecure --host nowhere.invalid", "serve.address", "Name another with --host and --port"),
        Row("serve --insecure --host 192.0.2.1", "serve.address", "Name another with --host and --port"),
    ],
    "projects": [
        Row("projects --state x", "cli.unknown_state", "There are failed, idle"),
        Row("projects --limit 0", "cli.usage", "--limit"),
        Row("projects --limit many", "cli.usage", "--limit"),
        Row("projects --after nobody", "project.not_found", "`winslow projects` lists them"),
        Row("projects work", "cli.usage", "unexpected extra argument"),
    ],
    "show": [
        Row("show work 99", "stage.not_found", "It has no stages yet"),
        Row("show gate 99", "stage.not_found", "They are numbered 1 to 2"),
        Row("show gate 0", "stage.not_found", "They are numbered 1 to 2"),
        Row(f"show gate {'9' * 30}", "stage.not_found", "There are a and b"),
        Row("show gate ../../1", "stage.not_found", "There are a and b"),
        Row(f"show gate {ODD}", "stage.not_found", "There are a and b"),
    ],
    "log": [
        Row("log work", "log.nothing_ran", "See winslow show work"),
        Row("log gate zzz", "stage.not_found", "There are a and b"),
        Row("log gate 1 --attempt 2", "attempt.not_found", "They are numbered 1 to 1"),
        Row("log gate 2 --attempt 1", "attempt.not_found", "None was made yet"),
        Row("log gate 1 --attempt -1", "cli.usage", "--attempt"),
        Row(f"log gate 1 --attempt {'9' * 30}", "attempt.not_found", "They are numbered 1 to 1"),
        Row("log gate 1 --follow --attempt 7", "attempt.not_found", "They are numbered 1 to 1"),
        Row("log gate --stream both", "cli.usage", "there are out and err"),
    ],
    "pause": [
        Row("pause gone", "project.in_trash", "Restore it first"),
        Row(f"pause work --comment {ODD}", "value.text", "Nothing was changed"),
    ],
    "resume": [Row("resume gone", "project.in_trash", "Restore it first")],
    "gate": [
        Row("gate work --go", "gate.none_open", "See winslow show work"),
        Row("gate gate g9", "gate.not_found", "Open: g1"),
        Row(f"gate gate {ODD} --go", "gate.not_found", "Open: g1"),
        Row("gate gate --go --stop", "gate.unclear", "Give one"),
        Row("gate gate --choose 1", "gate.unclear", "Answer with: winslow gate gate g1 --go"),
        Row("gate gate --choose zzz", "gate.unclear", "There is no stage to choose"),
        Row("gate gate --set FRAMES=0", "value.range", "Allowed is 1 to 9"),
        Row("gate gate --set FRAME=1", "cli.unknown_parameter", "Did you mean FRAMES?"),
        Row("gate gate --input nothing.mp4", "cli.input_missing", "Name a file that is there"),
        Row("gate gate --input denied.mp4", "cli.input_unreadable", "Look at its owner and mode"),
    ],
    "set": [
        Row("set work", "cli.nothing_to_do", "Write KEY=VALUE or --unset KEY"),
        Row("set work FRAMES", "cli.not_a_pair", "Write a name, an equals sign and a value"),
        Row("set work =1", "cli.not_a_pair", "Write a name, an equals sign and a value"),
        Row("set work FRAMES=1 FRAMES=2", "cli.given_twice", "Give each name once"),
        Row("set work FRAMES=1 --unset FRAMES", "cli.given_twice", "Do one of both"),
        Row("set work FRAME=1", "cli.unknown_parameter", "Did you mean FRAMES?"),
        Row("set work --unset FRAME", "cli.unknown_parameter", "Did you mean FRAMES?"),
        Row("set work FRAMES=10", "value.range", "Allowed is 1 to 9"),
        Row("set work VIDEO=../x.mp4", "value.path", "leads out"),
        Row(f"set work CITY={ODD}", "value.text", "Remove it"),
        Row("set work --secret LICENCES", "cli.unknown_parameter", "Did you mean LICENCE?"),
        Row("set work --secret LICENCE", "cli.secret_missing", "Put it into the environment variable LICENCE"),
        Row("set work --secret LICENCE", "value.text", "the secret LICENCE", environment={"LICENCE": ODD}),
        Row("set gone FRAMES=1", "project.in_trash", "Restore it first"),
    ],
    "edit": [*with_pipeline("edit work")[::4], Row("edit gone good.yaml", "project.in_trash", "Restore it first")],
    "comment": [
        Row("comment work ''", "cli.nothing_to_do", "Write a text"),
        Row("comment work ' '", "cli.nothing_to_do", "Write a text"),
        Row(f"comment work {ODD}", "value.text", "Nothing was changed"),
        Row("comment work x --stage 9", "stage.not_found", "It has no stages yet"),
    ],
    "describe": [
        Row("describe work", "cli.nothing_to_do", "Give --name, --tag, --limit"),
        Row("describe work --name 'a\nb'", "project.name", "Leave out control characters"),
        Row("describe work --priority 101", "cli.usage", "less than or equal to 100"),
        Row("describe work --limit wheels=4", "cli.not_a_limit", "gpus=2"),
        Row("describe work --limit gpus=many", "cli.not_a_limit", "gpus=2"),
        Row("describe work --keep-failed long", "cli.not_days", "or default"),
    ],
    "clean": [],
    "delete": [Row("delete work", "cli.not_confirmed", "Repeat it with --yes")],
    "restore": [],
    "redo": [
        *with_overrides("redo gate a")[::4],
        Row("redo gate 99", "stage.not_found", "They are numbered 1 to 2"),
        Row("redo gate zzz", "stage.not_found", "There are a and b"),
        Row("redo gate b", "stage.still_queued", "It can still be changed: winslow change."),
        Row("redo work a", "stage.not_made", "It has no stages yet"),
    ],
    "change": [
        *(row for row in with_overrides("change gate b")[1::2] if "--sweep" not in row.args),
        Row("change gate 1 --set FRAMES=1", "stage.ended", "an ended stage never changes"),
        Row("change gate 99", "stage.not_found", "They are numbered 1 to 2"),
        Row("change work a", "stage.not_made", "It has no stages yet"),
    ],
    "enqueue": [
        *with_overrides("enqueue gate a"),
        Row("enqueue gate zzz", "stage.unknown_definition", "It has a, b"),
        Row(f"enqueue gate {ODD}", "stage.unknown_definition", "It has a, b"),
        Row("enqueue gate a --after 9", "stage.not_found", "They are numbered 1 to 2"),
        Row("enqueue gate a --after 2", "stage.not_ended", "Stage 2"),
        Row("enqueue gone a", "project.in_trash", "Restore it first"),
    ],
    "skip": [
        Row("skip gate 1", "stage.not_skippable", "Stage 1 has succeeded"),
        Row("skip gate 9", "stage.not_found", "They are numbered 1 to 2"),
        Row("skip work a", "stage.not_made", "It has no stages yet"),
    ],
    "stop": [
        Row("stop gate 9", "stage.not_found", "They are numbered 1 to 2"),
        Row("stop gate zzz", "stage.not_found", "There are a and b"),
        Row("stop gone", "project.in_trash", "Restore it first"),
    ],
    "reorder": [
        Row("reorder gate 1", "stage.ended", "an ended stage never changes"),
        Row("reorder held 1 1", "reorder.repeated", "named twice"),
        Row("reorder held 9", "stage.not_found", "They are numbered 1 to 2"),
        Row(f"reorder held {ODD}", "stage.not_found", "There are a and b"),
    ],
    "validate": with_pipeline("validate"),
    "schema": [Row("schema x", "cli.usage", "unexpected extra argument")],
    "doctor": [
        Row("doctor x", "cli.usage", "unexpected extra argument"),
        Row("doctor", "", "Name an empty directory", 1, {"WINSLOW_SHARE": "good.yaml"}),
        Row("doctor", "", "Name an empty directory", 1, {"WINSLOW_SHARE": "foreign"}),
        Row("doctor", "", "cannot be reached", 1, {"REDIS_URL": "unix:///nowhere"}),
        Row("doctor", "", "The drivers are `local`", 1, {"WINSLOW_DRIVER": "nope"}),
        Row("doctor", "", "WINSLOW_HOME", 1, {"WINSLOW_HOME": "good.yaml"}),
    ],
    "rebuild": [
        Row("rebuild", "share.gone", "Mount the share there", 5, {"WINSLOW_SHARE": "good.yaml"}),
        Row("rebuild", "share.gone", "Mount the share there", 5, {"WINSLOW_SHARE": "foreign"}),
        Row("rebuild", "share.gone", "Mount the share there", 5, {"WINSLOW_SHARE": "/proc/winslow"}),
        Row("rebuild", "share.denied", "Look at its owner and mode", 5, {"WINSLOW_SHARE": "locked"}),
        Row("rebuild", "share.denied", "journal on the share cannot be read", 5, {"WINSLOW_SHARE": "half_denied"}),
    ],
    "backup": [
        Row("backup good.yaml", "backup.exists", "Give a new name"),
        Row("backup /dev/null", "backup.exists", "Give a new name"),
        Row("backup nowhere/x.zip", "backup.unwritable", "Name a new file in a folder that is there"),
        Row("backup good.yaml/x.zip", "backup.unwritable", "Not a directory"),
        Row("backup read_only", "backup.unwritable", "Permission denied"),
        Row("backup read_only/x.zip", "backup.unwritable", "Permission denied"),
        Row("backup locked/x.zip", "backup.unwritable", "Permission denied"),
        Row(f"backup {LONG}", "backup.unwritable", "File name too long"),
        Row("backup ~nobody-here/x.zip", "cli.path", "Write it whole, from / on"),
    ],
    "restore-backup": [
        Row("restore-backup good.yaml", "backup.damaged", "Take another backup file"),
        Row("restore-backup nothing.zip", "backup.not_found", "Name the file of a backup"),
        Row("restore-backup empty", "backup.not_found", "Name the file of a backup"),
        Row("restore-backup pipe", "backup.not_found", "Name the file of a backup"),
        Row("restore-backup /dev/zero", "backup.not_found", "Name the file of a backup"),
        Row("restore-backup denied.mp4", "backup.unreadable", "Look at its owner and mode"),
        Row("restore-backup locked/x.zip", "backup.unreadable", "Permission denied"),
        Row(f"restore-backup {LONG}", "backup.unreadable", "File name too long"),
        Row("restore-backup ~nobody-here/x.zip", "cli.path", "Write it whole, from / on"),
        Row("restore-backup whole.zip", "backup.store_not_empty", "name one in WINSLOW_HOME"),
    ],
    "submit": [
        *with_pipeline("submit"),
        Row("submit nowhere", "pipeline.not_found", "a pipeline of the library"),
        Row("submit good.yaml --name x --set FRAMES=0", "value.range", "Allowed is 1 to 9"),
        Row("submit good.yaml --name x --input nothing.mp4", "cli.input_missing", "Name a file that is there"),
    ],
    "follow": [],
    "login": [
        Row("login nowhere", "server.address", "Write it as https://"),
        Row("login ftp://example.org", "server.address", "Write it as https://"),
        Row(f"login {ODD}", "server.address", "Write it as https://"),
        Row("login", "cli.usage", "Missing argument 'URL'"),
    ],
    "logout": [
        Row("logout", "context.not_found", "See winslow contexts"),
        Row("logout nowhere", "context.not_found", "See winslow contexts"),
    ],
    "contexts": [
        Row("contexts nowhere", "context.not_found", "There is only local."),
        Row("contexts x y", "cli.usage", "unexpected extra argument"),
    ],
    "open": [
        Row("open", "cli.no_pages", "winslow up serves them"),
        Row("open nobody", "project.not_found", "`winslow projects` lists them"),
    ],
    "version": [Row("version x", "cli.usage", "unexpected extra argument")],
}
# what each needs to be complete, behind the project where it takes one
REST = {
    "show": "", "log": "", "pause": "", "resume": "", "gate": "", "restore": "", "stop": "", "set": "FRAMES=1",
    "edit": "good.yaml", "comment": "hello", "describe": "--tag x", "clean": "",
    "delete": "--yes", "redo": "a", "change": "a", "enqueue": "a", "skip": "a",
    "reorder": "1", "follow": "",
}  # fmt: skip
WHOLE = {
    **{verb: f"{verb} work {rest}".strip() for verb, rest in REST.items()},
    "run": "run good.yaml --input video.mp4", "up": "up", "controller": "controller", "worker": "worker",
    "serve": "serve --port 0", "projects": "projects", "rebuild": "rebuild", "backup": "backup new.zip",
    "restore-backup": "restore-backup whole.zip",
}  # fmt: skip
RUNS = ("run", "up", "controller", "worker")
EVERYWHERE = [
    ({"WINSLOW_CPU": "lots"}, "settings.invalid", "cpu (WINSLOW_CPU) cannot be 'lots'", 2),
    ({"WINSLOW_HOME": "good.yaml"}, "store.directory", "Set WINSLOW_HOME to a directory", 5),
    ({"REDIS_URL": "unix:///nowhere"}, "store.unavailable", "Winslow reconnects by itself", 5),
]
FOR_ALL = [
    *(Row(f"{verb} --nope", "cli.usage", f"See winslow {verb} --help") for verb in TABLE),
    *(Row(verb, "cli.usage", f"See winslow {verb} --help") for verb in (*REST, "validate", "backup", "restore-backup")),
    *(
        Row(f"{verb} {shlex.quote(name)} {rest}", "project.not_found", "`winslow projects` lists them")
        for verb, rest in REST.items()
        for name in ("nobody", "", ODD)
    ),
    *(
        Row(f"show {shlex.quote(name)}", "project.not_found", "`winslow projects` lists them")
        for name in ("../work", "work:stages", "*", "\x1b[2J", "x" * 100_000, "🚗")
    ),
    *(
        Row(args, code, says, end, environment)
        for args in WHOLE.values()
        for environment, code, says, end in EVERYWHERE
    ),
    *(
        Row(WHOLE[verb], "store.directory", "Set WINSLOW_HOME to a directory", 5, {"WINSLOW_HOME": "read_only"})
        for verb in (*RUNS, "projects")
    ),
    *(
        Row(WHOLE[verb], code, says, end, {"WINSLOW_SHARE": share})
        for verb in RUNS
        for share, code, says, end in (
            ("good.yaml", "share.not_directory", "Name an empty directory", 2),
            ("foreign", "share.not_empty", "Name an empty directory", 2),
            ("/proc/winslow", "share.gone", "Mount the share again", 5),
            ("read_only/share", "share.denied", "Look at owner and mode", 5),
        )
    ),
    Row("shwo", "cli.usage", "Did you mean"),
    Row("--nope", "cli.usage", "See winslow --help"),
]
ODD_SETTINGS = [
    *(
        Row("projects", code, says, environment={"WINSLOW_HOME": f"settings/{name}"})
        for name, code, says in (
            ("none", "settings.unreadable", "line 1"),
            ("unknown", "settings.unknown", "See docs/settings.md"),
            ("twice", "settings.unreadable", "Cannot overwrite a value"),
            ("deep", "settings.unreadable", "See docs/settings.md"),
            ("number", "settings.invalid", "Name a directory"),
            ("empty", "settings.invalid", "Name a directory"),
            ("truth", "settings.invalid", "See docs/settings.md"),
            ("roots", "settings.invalid", 'Write name = "/an/absolute/path"'),
            ("root", "settings.invalid", 'Write name = "/an/absolute/path"'),
            ("out", "settings.invalid", 'Write name = "/an/absolute/path"'),
            ("variable", "settings.invalid", 'Write NAME = "value"'),
            ("reserved", "settings.invalid", 'Write NAME = "value"'),
            ("pipe", "settings.unreadable", "it is not a file"),
        )
    ),
    *(
        Row("projects", "settings.invalid", says, environment=environment)
        for environment, says in (
            ({"WINSLOW_HOME": "~nobody-here/x"}, "Name a directory"),
            ({"WINSLOW_SHARE": "~nobody-here/x"}, "Name a directory"),
            ({"WINSLOW_CPU": "nan"}, "See docs/settings.md"),
            ({"WINSLOW_CPU": "-1"}, "See docs/settings.md"),
            ({"WINSLOW_MEMORY": "4 GiB"}, "Write a number of bytes"),
            ({"WINSLOW_MEMORY": "-1"}, "Write a number of bytes"),
            ({"WINSLOW_SWEEP_SECONDS": "0"}, "See docs/settings.md"),
            ({"WINSLOW_INSTALLATION": "../x"}, "Letters, digits and . _ - make one"),
            ({"WINSLOW_INSTALLATION": "a:p"}, "Letters, digits and . _ - make one"),
            ({"WINSLOW_USER": ODD}, "See docs/settings.md"),
            ({"REDIS_URL": f"http://:{PASSWORD}@x/"}, "Write redis://"),
            ({"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:x/"}, "Write redis://"),
            ({"REDIS_URL": f"redis://:{PASSWORD}@[::1/"}, "Write redis://"),
            ({"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/?nope=1"}, "Write redis://"),
            ({"REDIS_URL": f"redis://:{PASSWORD}{ODD}@127.0.0.1:1/"}, "Write redis://"),
        )
    ),
    Row("projects", "settings.unreadable", "File name too long", environment={"WINSLOW_HOME": LONG}),
    Row("projects", "settings.unreadable", "Permission denied", environment={"WINSLOW_HOME": "locked"}),
    Row("projects", "store.directory", "cannot be made", 5, {"WINSLOW_HOME": "/proc/winslow"}),
    Row("projects", "store.unavailable", "refused", 5, {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/"}),
]
ROWS = [*(row for rows in TABLE.values() for row in rows), *FOR_ALL, *ODD_SETTINGS]
DOCUMENTED = set(re.findall(r"^\| `([a-z_.]+)` ", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE))


@dataclass
class Place:
    """A working directory with a home in it. `before`: what was there when somebody looked last."""

    root: Path
    home: Path
    client: LocalClient
    words: Path
    before: dict[str, str] = field(default_factory=dict)

    def winslow(self, row: Row, out: Path | None = None) -> forked.Done:
        own = {"WINSLOW_HOME": str(self.home), "PATH": os.environ["PATH"], "USER": "ann", **row.environment}
        for name in ("WINSLOW_HOME", "WINSLOW_SHARE"):
            if name in own and not own[name].startswith("~"):
                own[name] = str(self.root / own[name])
        args = [*shlex.split(row.args), *row.more]
        return forked.winslow(args, folder=self.root, environment=own, words=self.words, out=out)

    def changed(self) -> dict[str, str]:
        """What is not as it was at the last look: files, and keys of the store. Leases, their epochs and bells belong
        to those who move stages, and two folders to the store's server and the driver."""
        theirs = {self.home / "store", self.home / "local"}
        now = {f"file {e.path}": stamp(e) for e in walk(self.root, theirs)}
        redis = self.client.installation.state
        keys = [k for k in redis.scan_iter("winslow:*", 1000) if k.split(b":")[1] not in (b"lease", b"epoch")]
        with redis.pipeline() as pipeline:
            for key in keys:
                pipeline.dump(key)
            dumps = pipeline.execute()
        now |= {f"key {k.decode()}": hashlib.sha256(d or b"").hexdigest() for k, d in zip(keys, dumps, strict=True)}
        before, self.before = self.before, now
        return {k: f"{before.get(k)} -> {now.get(k)}" for k in sorted({*before, *now}) if before.get(k) != now.get(k)}


def walk(folder: Path, without: set[Path]) -> Iterator[os.DirEntry[str]]:
    for entry in os.scandir(folder):
        yield entry
        if entry.is_dir(follow_symlinks=False) and Path(entry.path) not in without:
            yield from walk(Path(entry.path), without)


def stamp(entry: os.DirEntry[str]) -> str:
    found = entry.stat(follow_symlinks=False)
    content = "" if entry.is_dir(follow_symlinks=False) else f"{found.st_size} {found.st_mtime_ns}"
    return f"{found.st_mode:o} {found.st_ino} {content}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("bad")
    for name, text in PIPELINES.items():
        (root / name).write_text(text)
    for name in ("video.mp4", "video.avi", "line\nbreak.mp4", f"{ODD}.mp4", "denied.mp4"):
        (root / name).write_text("hello")
    for name in ("empty", "foreign", "locked", "read_only", "with_pipe", "with_link", "with_denied", "half_denied"):
        (root / name).mkdir()
        if name.startswith("with_") or name == "locked":
            (root / name / "pipeline.yaml").write_text(GOOD)
    (root / "foreign" / "precious").write_text("mine")
    os.mkfifo(root / "with_pipe" / "pipe")
    (root / "with_link" / "link").symlink_to("/etc/passwd")
    (root / "with_denied" / "code").write_text("exit")
    for name, text in SETTINGS.items():
        (root / "settings" / name).mkdir(parents=True)
        (root / "settings" / name / "winslow.toml").write_text(text)
    (root / "settings" / "pipe").mkdir()
    for pipe in ("pipe", "settings/pipe/winslow.toml"):
        os.mkfifo(root / pipe)
    for name in ("around.mp4", "around.yaml"):
        (root / name).symlink_to(name)
    (root / "half_denied" / "winslow.json").write_text('{"format": 1, "name": "winslow"}')
    (root / "half_denied" / "projects" / "x" / "journal").mkdir(parents=True)
    home, words = root / "home", tmp_path_factory.mktemp("words")
    client = open_client(config.load({"WINSLOW_HOME": str(home), "USER": "ann"}))
    there = Place(root, home, client, words)
    try:
        populate(there)
        for name, mode in (("denied.mp4", 0), ("denied.yaml", 0), ("with_denied/code", 0), ("locked", 0),
                           ("half_denied/projects/x/journal", 0), ("read_only", 0o500)):  # fmt: skip
            (root / name).chmod(mode)
        there.changed()
        yield there  # the client keeps the store running, so that each command only joins it
    finally:
        client.close()
        for name in ("locked", "read_only", "half_denied/projects/x/journal"):
            (root / name).chmod(0o700)


def populate(place: Place) -> None:
    """`work` has no stages yet, `gate` has one that has ended and asks about the next, `held` is paused with two that
    are queued, `gone` is in the trash."""
    pipeline = read_pipeline(place.root / "good.yaml")
    values = {"VIDEO": place.client.bring_input(place.root / "video.mp4")}
    for name in ("gate", "work", "held", "gone"):
        place.client.send(name, m.CreateProject(project=name, name=name, pipeline=pipeline, values=values))
    ran = place.winslow(Row("run --resume gate", "", ""))
    assert ran.code == 3, ran.err
    for command_ in (m.EnqueueStage(id="a"), m.PauseProject(), m.EnqueueStage(id="a", resume=False)):
        place.client.send("held", command_)
    place.client.send("gone", m.TrashProject())
    saved = place.winslow(Row("backup whole.zip", "", ""))
    assert saved.code == 0, saved.err
    # what the next ones would do by the way is done: mirroring, and trying out what the share can
    until(lambda: place.winslow(Row("run --resume gate", "", "")).code == 3 and mirrored(place), 60)
    assert place.winslow(Row("doctor", "", "")).code == 0


def mirrored(place: Place) -> bool:
    return place.client.installation.journal.lag().lines == 0


def test_there_are_rows_for_every_command() -> None:
    assert set(TABLE) == {str(c.name) for c in app.registered_commands}


def test_no_row_is_there_twice() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_wrong_is_said_with_a_code_and_nothing_is_changed(place: Place, row: Row) -> None:
    done = place.winslow(row)
    changed = place.changed()
    assert done.code == row.exit, done.out + done.err
    assert "Traceback" not in done.err and PASSWORD not in done.out + done.err
    if row.code:
        assert done.err.count("winslow: ") == 1 and done.err.endswith(f" [{row.code}]\n") and done.out == ""
        assert row.says in done.err and row.code in DOCUMENTED
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.err), "nothing steers the terminal"
        assert len(done.err.splitlines()) <= 100
    else:
        assert row.says in " ".join(done.out.split())
    assert changed == {}


def test_a_list_goes_on_behind_a_project(place: Place) -> None:
    def listed(args: str) -> list[str]:
        return [p["id"] for p in json.loads(place.winslow(Row(args, "", "")).out)["projects"]]

    every = listed("projects --json")
    assert len(every) >= 3
    assert [listed(f"projects --json --after {name}") for name in every] == [every[n + 1 :] for n in range(len(every))]


def test_a_full_disk_under_stdout_is_said(place: Place) -> None:
    done = place.winslow(Row("projects", "", ""), out=Path("/dev/full"))
    assert done.code == 74 and done.err.endswith("[cli.output]\n") and "No space left on device" in done.err
    assert "Traceback" not in done.err and "Exception ignored" not in done.err


def test_a_name_that_the_terminal_cannot_write_ends_nothing(place: Place) -> None:
    done = place.winslow(Row("projects --json", "", ""), out=Path("/dev/null"))
    assert done.code == 0
    own = {**os.environ, "WINSLOW_HOME": str(place.home), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run([*CLI, "show", "gate"], cwd=place.root, env=own, capture_output=True, check=False)
    assert shown.returncode == 0 and b"waits for you" in shown.stdout, shown.stderr


def test_a_working_directory_that_was_deleted_is_said(place: Place, tmp_path: Path) -> None:
    own = {**os.environ, "WINSLOW_HOME": str(place.home), "PYTHONPATH": str(ROOT)}
    script = f"cd {tmp_path}; rmdir {tmp_path}; exec {shlex.join(CLI)} backup x.zip"
    done = subprocess.run(["sh", "-c", script], env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "[cli.path]" in done.stderr, done.stderr


def test_an_unreadable_file_in_a_folder_is_named_and_the_pool_stays_as_it_was(place: Place) -> None:
    text = "winslow: 1\nname: f\nparameters: {DATA: {type: folder}}\nstages: [{id: a, command: ['true']}]\n"
    (place.root / "folder.yaml").write_text(text)
    place.changed()
    done = place.winslow(Row("run folder.yaml --input with_denied", "", ""))
    assert done.code == 2 and "with_denied/code': Permission denied" in done.err, done.err
    assert done.err.endswith(" [import.failed]\n")
    assert place.changed() == {}


def alone(home: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as it is installed, with a home of its own."""
    own = {**os.environ, "WINSLOW_HOME": str(home), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [*CLI, *args], cwd=home.parent, env=own, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_run_in_an_empty_home_makes_home_and_share(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("winslow: 1\nname: one\nstages: [{id: a, command: ['true']}]\n")
    home, share = tmp_path / "home", tmp_path / "elsewhere" / "share"
    done = alone(home, "run", "one.yaml", WINSLOW_SHARE=str(share))
    assert done.returncode == 0, done.stderr
    assert (share / "winslow.json").is_file() and len(list((share / "projects").iterdir())) == 1
    assert home.stat().st_mode & 0o077 == 0 and not (home / "share").exists()


def answer(stranger: socket.socket) -> None:
    with suppress(OSError):
        while True:
            with stranger.accept()[0] as connection:
                connection.sendall(b"220 mail.example.org\r\n")


def test_a_socket_that_somebody_else_has_is_not_touched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "store").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(home / "store" / "redis.sock"))
        stranger.listen()
        threading.Thread(target=answer, args=(stranger,), daemon=True).start()
        done = alone(home, "projects")
    assert done.returncode == 5 and "[store.socket_taken]" in done.stderr, done.stderr
    assert (home / "store" / "redis.sock").exists()


def test_a_newer_store_is_left_alone(place: Place) -> None:
    newer = b'{"format": 1, "schema": 99, "written_by": "9.9"}'
    with a_server() as server, server.client as redis:
        redis.set(Keys().schema, newer)
        for verb in ("projects", "doctor", "rebuild"):
            done = place.winslow(Row(verb, "", "", environment={"REDIS_URL": f"unix://{server.socket}"}))
            assert done.code in (1, 5), done.out + done.err
            assert "newer than this Winslow" in done.out + done.err and "Upgrade" in done.out + done.err
        assert redis.keys() == [Keys().schema.encode()]
        assert redis.get(Keys().schema) == newer


def test_a_data_directory_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """9P and NFS need a server; the kernel gives the type of a mount that has none as well: Ceph, AFS."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    point = tmp_path / "home"
    point.mkdir()
    try:
        command("mount", "-t", "afs", "none", point, "-o", "dyn")
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no network file system that mounts without a server")
    try:
        done = alone(point, "projects")
        assert done.returncode == 5 and "[store.network_file_system]" in done.stderr, done.stderr
    finally:
        command("umount", "-l", point)


def test_a_share_that_hangs_when_winslow_starts_is_said_in_seconds(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("winslow: 1\nname: one\nstages: [{id: a, command: ['true']}]\n")
    with a_share("stall") as share:
        share.begin()
        with suppress(subprocess.TimeoutExpired):
            done = alone(tmp_path / "home", "run", "one.yaml", WINSLOW_SHARE=str(share.point / "share"))
            assert done.returncode == 5 and "[share.stalled]" in done.stderr, done.stderr
            return
        pytest.fail("it waited for the share")
