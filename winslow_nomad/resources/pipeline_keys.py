"""Every key that a pipeline file may have: the one table behind the parser, the schema for editors, and the
test that the documentation is complete."""

from __future__ import annotations

from winslow_nomad.core.pipeline import ParameterKind, ResultKind
from winslow_nomad.resources.shapes import Boolean, Choice, Items, Key, Names, Number, Table, Text, duration, size

FORMAT = 1
STAGE_ID = r"[a-z][a-z0-9_]{0,62}"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
ID_WORDS = "small letters from a to z, digits and _, a letter first"
VARIABLE_WORDS = "names of variables are letters, digits and _, no digit first"
TAG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
LINE = r"[^\n\r]*"
RELATIVE = r"(?!/)(?!(?:.*/)?\.\.(?:/|$))[^\n\r]+"

HEADING = r"[^\s,;\"'$][^,;\"'\n\r$]{0,99}"
HEADING_WORDS = "headings have no commas, quotes and $"

_id = Text("detect", STAGE_ID, ID_WORDS)
_title = Text("Vehicles in a street video", LINE, "one line", 200)
_variables = Names(VARIABLE, VARIABLE_WORDS, Text("info"), "{LOG_LEVEL: info}")
_words = Items(Text("detect.py"), '[python, "${WINSLOW_PIPELINE}/detect.py"]')
_tag = Text("fast-disk", TAG, "letters, digits, . _ -")
_count = Number(0, 100, "1")

PARAMETER = Table(
    (
        Key("type", Choice(tuple(ParameterKind)), "What kind of value it is.", required=True),
        Key("title", _title, "Label of the field; default: the name."),
        Key("help", Text("Smallest blob in pixels", longest=2000), "Shown beside the field."),
        Key("default", Text("300"), "Value when nobody gives one; without it a value is required."),
        Key("min", Text("20"), "Least value of an integer or a number."),
        Key("max", Text("100000"), "Greatest value of an integer or a number."),
        Key("options", Items(Text("fast"), "[fast, exact]", least=1, unique=True), "What a choice offers."),
        Key(
            "accept",
            Items(Text(".mp4", r"\.[^\s/]{1,30}", "endings begin with a dot"), "[.mp4, .mkv]", least=1, unique=True),
            "Endings of file names that fit.",
        ),
    ),
    "{type: integer, default: 300}",
    elsewhere=(("required", "leave it out: a parameter without a default is required"),),
)
SECRET = Table(
    (Key("required", Boolean(), "Whether stages that list it wait until it is set; default: true."),),
    "{}",
)
GPU = Table(
    (
        Key("count", Number(0, 64, "1"), "How many GPUs of one node; 0: none; default: 1."),
        Key("memory", size("8 GiB"), "Memory that each of them has at least."),
        Key("model", Text("RTX*", r"[^\n\r]{1,100}", "one line"), "Model, * stands for anything; default: any."),
    ),
    "{count: 1, memory: 8 GiB}",
)
RESOURCES = Table(
    (
        Key("cpu", Number(0, 4096, "2", whole=False, above=True), "Cores; default: 1."),
        Key("memory", size("4 GiB", least=2**20), "Memory reserved; default: 1 GiB."),
        Key("memory_max", size("6 GiB", least=2**20), "Memory it may grow to where a node has it; default: memory."),
        Key("shm", size("1 GiB"), "Size of /dev/shm; default: 64 MiB."),
        Key("gpu", GPU, "GPUs; default: none."),
    ),
    "{cpu: 2, memory: 4 GiB}",
    elsewhere=(("count", "it belongs into gpu"), ("model", "it belongs into gpu")),
)
PLACEMENT = Table(
    (
        Key("pool", _tag, "Node pool; default: default."),
        Key("require", Items(_tag, "[fast-disk]", unique=True), "Tags that a node must have."),
        Key("prefer", Choice(("previous_node",)), "previous_node: where the stage before it ran, if it is free."),
    ),
    "{require: [fast-disk]}",
)
RETRY = Table(
    (
        Key("node_lost", _count, "More attempts after a node died; default: 3."),
        Key("failed", _count, "More attempts after it failed by itself; default: 0."),
        Key("timeout", _count, "More attempts after it ran out of time; default: 0."),
        Key("delay", duration("30s"), "Wait between attempts; default: 30s."),
        Key(
            "workspace",
            Choice(("fresh", "continue")),
            "fresh: start again from the stage before. continue: from a copy of what the dead attempt left.",
        ),
    ),
    "{failed: 1, delay: 30s}",
)
SWEEP = Table(
    (
        Key("max_running", Number(1, 10_000, "4"), "How many of its stages run at once; default: 4."),
        Key("on_failure", Choice(("stop", "continue")), "What happens to the others when one fails; default: stop."),
        Key(
            "workspace",
            Choice(("separate", "shared", "nested")),
            "One each, one for all, or one inside; default: separate.",
        ),
    ),
    "{max_running: 4}",
)
CHART = Table(
    (
        Key(
            "file",
            Text("counts.csv", RELATIVE, "a path in the output, without .."),
            "CSV file in the output.",
            required=True,
        ),
        Key("x", Text("second", LINE, "the name of a column"), "Column of the horizontal axis.", required=True),
        Key(
            "y",
            Items(Text("vehicles", LINE, "the name of a column"), "[vehicles]", least=1, unique=True),
            "Columns that are drawn.",
            required=True,
        ),
        Key("title", _title, "Heading of the chart."),
    ),
    "{file: counts.csv, x: second, y: [vehicles]}",
)
LOG_PARSER = Table(
    (
        Key(
            "file",
            Text("counts.csv", RELATIVE, "a path, without .."),
            "CSV file that it makes, below .log_parser_output; may hold ${name} of groups.",
            required=True,
        ),
        Key(
            "pattern",
            Text(r"frame (?P<frame>\d+): (?P<vehicles>\d+) vehicles", longest=1000),
            "Regular expression (RE2) that is looked for; its named groups are variables.",
            required=True,
        ),
        Key(
            "columns",
            Names(HEADING, HEADING_WORDS, Text("${frame}", LINE, "one line", 500), '{frame: "${frame}"}', most=100),
            "Headings and what stands below them; default: time and all named groups.",
        ),
        Key("lines", Number(1, 100, "3"), "Lines that the pattern may span; default: 1."),
        Key("stream", Choice(("out", "err")), "Only this stream; default: either."),
    ),
    r"{file: counts.csv, pattern: 'frame (?P<frame>\d+): (?P<vehicles>\d+) vehicles'}",
)
CONFIRM = Table(
    (
        Key("ask", Choice(("never", "once", "always")), "Whether a person is asked before it starts; default: never."),
        Key(
            "show",
            Items(
                Text("detect/preview.jpg", rf"{STAGE_ID}/{RELATIVE}", "a stage and a path in its output"),
                "[detect/preview.jpg]",
                unique=True,
            ),
            "What to look at: <stage id>/<path in its output>.",
        ),
    ),
    "{ask: always}",
)


def _list_of_variables(example: str) -> Items:
    return Items(Text(example, VARIABLE, VARIABLE_WORDS), f"[{example}]", unique=True)


# keys of a stage that only make sense for one of them
OWN = (
    Key("id", _id, "Name of the stage in this file, unique.", required=True),
    Key("title", _title, "What people read; default: the id."),
    Key("needs", Items(_id, "[detect]", unique=True), "Stages that must be finished before; default: the one above."),
    Key("when", Text("detect.results.vehicles > 100", longest=1000), "The stage is skipped when this is false."),
)
SHARED = (
    Key("image", Text("traffic:1.2", r"[^\s\x00-\x1f]{1,500}", "a name without spaces"), "Container image."),
    Key("entrypoint", _words, "Replaces the entry point of the image."),
    Key("command", _words, "Program and arguments, one by one; no shell reads them."),
    Key("environment", _variables, "Variables of the process."),
    Key("secrets", _list_of_variables("LICENCE"), "Secrets that it receives."),
    Key("required", _list_of_variables("CAMERA"), "Variables that a person must have set."),
    Key("resources", RESOURCES, "What it needs of a node."),
    Key("placement", PLACEMENT, "Which nodes may run it."),
    Key("timeout", duration("12h", least=1), "Longest time an attempt may run; default: no limit."),
    Key("stop_grace", duration("30s"), "Time between the polite and the hard stop; default: 30s."),
    Key("patience", duration("15m", least=1), "How long a node may be out of contact; default: 15m."),
    Key("retry", RETRY, "More attempts, by what ended the one before."),
    Key(
        "results",
        Names(VARIABLE, VARIABLE_WORDS, Choice(tuple(ResultKind)), "{vehicles: integer}"),
        "Results that it writes, with their kinds.",
    ),
    Key("sweep", SWEEP, "How sweeps over this stage run."),
    Key("charts", Items(CHART, "[{file: counts.csv, x: second, y: [vehicles]}]"), "Charts of CSV files in the output."),
    Key(
        "log_parsers",
        Items(LOG_PARSER, r"[{file: counts.csv, pattern: '(?P<vehicles>\d+) vehicles'}]", most=50),
        "Tables made of what it prints.",
    ),
    Key("join", Choice(("all", "any")), "With several needs: run when all of them, or any of them, was not skipped."),
    Key("gather", Boolean(), "One stage for all stages of the sweep before it."),
    Key(
        "workspace",
        Text("previous", STAGE_ID, "previous, empty, or a stage before this one"),
        "Whose workspace it continues from; default: previous.",
    ),
    Key("confirm", CONFIRM, "Ask a person before it starts."),
    Key("pause_after", Boolean(), "The project pauses when it has succeeded; default: false."),
    Key(
        "run_as", Choice(("winslow", "image")), "User of the process: Winslow's own, or the image's; default: winslow."
    ),
)
_TABLES = (
    ("confirm", CONFIRM.keys),
    ("sweep", SWEEP.keys[:2]),
    ("placement", PLACEMENT.keys),
    ("resources", RESOURCES.keys),
)
_INNER = (
    *((k.name, f"it belongs into {table}") for table, keys in _TABLES for k in keys),
    ("gpus", "it belongs into resources, as gpu"),
)

DEFAULTS = Table(SHARED, '{image: "traffic:1.2"}', (*((k.name, "it belongs into each stage") for k in OWN), *_INNER))
STAGE = Table((*OWN[:2], *SHARED, *OWN[2:]), '{id: detect, command: [python, "${WINSLOW_PIPELINE}/detect.py"]}', _INNER)
PIPELINE = Table(
    (
        Key("winslow", Number(1, 1_000_000, "1"), "Version of the language of this file: 1.", required=True),
        Key(
            "name",
            Text("traffic", r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}", "letters from a to z, digits, space . _ -"),
            "Short name.",
            required=True,
        ),
        Key("title", _title, "What people read."),
        Key("description", Text("Counts what drives by.", longest=10_000), "What it does and what it is good for."),
        Key(
            "parameters",
            Names(VARIABLE, VARIABLE_WORDS, PARAMETER, "{MIN_AREA: {type: integer}}"),
            "Fields of the form, and variables of every stage.",
        ),
        Key(
            "secrets",
            Names(VARIABLE, VARIABLE_WORDS, SECRET, "{LICENCE: {required: false}}"),
            "Names of secrets; their texts are never in this file.",
        ),
        Key("environment", _variables, "Variables of every stage."),
        Key("defaults", DEFAULTS, "Merged into every stage."),
        Key("stages", Items(STAGE, "[{id: detect, ...}]", 1, 500), "The steps.", required=True),
    ),
    "{winslow: 1, name: traffic, stages: [...]}",
    tuple((k.name, "it belongs into a stage, or into defaults") for k in SHARED),
)
