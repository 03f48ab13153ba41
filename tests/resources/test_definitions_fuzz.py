"""Pipeline files from nobody: every pipeline can be written and read back, and any text is answered."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.resources.test_definitions import FULL, FULL_PIPELINE
from tests.resources.wrong_pipelines import WRONG
from winslow_nomad.core.errors import Invalid, InvalidPipeline
from winslow_nomad.core.pipeline import (
    Chart,
    Confirm,
    Gpu,
    Parameter,
    Pipeline,
    Placement,
    Resources,
    ResultKind,
    Retry,
    Secret,
    StageDefinition,
    SweepPolicy,
)
from winslow_nomad.core.values import check_value
from winslow_nomad.resources.definitions import parse, write
from winslow_nomad.resources.sizes import format_duration, format_size, parse_duration, parse_size

# texts that YAML finds difficult, and any others that a file may hold
AWKWARD = [
    "", " ", "1.10", "NO", "~", "null", "true", "- a", "a: b", "a #b", "#", "'", '"', "|", ">", "&a", "*a", "!t", "%",
    "@", "`", "{a}", "[b]", "a,b", "? x", "---", "...", "<<", "=", "\n", "a\nb", "  a\n b\n\n", "\ta", "a\t", "a\r\nb",
    "ä ö ü", "\U0001f697", "\u2028", "a\u2029b\n", "\x85", "\ufeff", "\x07", "x" * 300, "$HOME", "\\", "a\\nb", "0x1F",
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40),
)
plain = texts.map(lambda t: t.replace("$", "$$"))  # refers to nothing
lines = texts.map(lambda t: t.replace("\n", " ").replace("\r", " ")[:200])
variables = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda n: not n.startswith("WINSLOW_"))
tags = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)
paths = st.from_regex(r"[a-z][a-z0-9_./ -]{0,15}[a-z]", fullmatch=True).filter(lambda p: ".." not in p)
seconds = st.one_of(st.integers(1, 10_000_000).map(float), st.integers(1, 10_000_000).map(lambda n: max(1.0, n / 1000)))
sizes = st.one_of(st.integers(2**20, 2**50), st.integers(1, 4000).map(lambda n: n * 2**20))


def some(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most, unique=True).map(tuple)


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(["string", "integer", "number", "boolean", "choice", "file", "files", "folder"]))
    fields: dict[str, Any] = {"kind": kind, "title": draw(lines), "help": draw(texts)}
    if kind == "choice":
        fields["options"] = draw(some(texts, 4).filter(bool))
        fields["default"] = draw(st.sampled_from(fields["options"]))
    elif kind in ("integer", "number"):
        low, middle, high = sorted(draw(st.lists(st.integers(-100, 100), min_size=3, max_size=3)))
        fields |= {"min": str(low), "default": str(middle), "max": str(high)}
    elif kind in ("file", "files"):
        fields["accept"] = draw(some(st.sampled_from([".mp4", ".tar.gz", ".Ä"])))
    else:
        fields["default"] = draw({"string": texts, "boolean": st.just("true"), "folder": paths}[kind])
    made = Parameter(**fields)
    default = None if made.default is None else check_value(made, made.default)
    return made.but(default=default)


@st.composite
def resources(draw: st.DrawFn) -> Resources:
    memory = draw(sizes)
    gpu = st.builds(
        Gpu, count=st.integers(1, 8), memory=st.just(0) | sizes, model=st.sampled_from(["", "RTX*", "A 100: #1"])
    )
    return Resources(
        cpu=draw(st.sampled_from([0.001, 0.5, 1.0, 2.25, 4096.0])),
        memory=memory,
        memory_max=draw(st.none() | st.just(memory * 2)),
        shm=draw(st.just(0) | sizes),
        gpu=draw(st.none() | gpu),
    )


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    names = draw(some(variables, 8))
    cut = sorted(draw(st.tuples(st.integers(0, len(names)), st.integers(0, len(names)))))
    secrets, outer, inner = names[: cut[0]], names[cut[0] : cut[1]], names[cut[1] :]
    ids = draw(some(st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True), 5).filter(bool))
    ids = tuple(i for i in ids if i not in ("previous", "empty", "values")) or ("only",)
    chain = draw(st.booleans())
    made: list[StageDefinition] = []
    for number, name in enumerate(ids):
        before = ids[number - 1 : number] if chain else draw(some(st.sampled_from(ids[:number]))) if number else ()
        listed = draw(some(st.sampled_from(secrets))) if secrets else ()
        known = [f"${{{n}}}" for n in (*outer, "WINSLOW_OUTPUT")]
        words = st.one_of(plain, st.sampled_from(known), st.tuples(plain, st.sampled_from(known)).map("".join))
        behind = list(before)
        results = draw(st.dictionaries(variables, st.sampled_from(ResultKind), max_size=3))
        numbers = [r for s in made if s.id in before for r, k in s.results.items() if k is ResultKind.INTEGER]
        owner = next((s.id for s in made if s.id in before and numbers and numbers[0] in s.results), "")
        made.append(
            StageDefinition(
                id=name,
                title=draw(lines),
                image=draw(st.sampled_from(["", "registry.example.org/x:1", "docker.io/a/b@sha256:0"])),
                entrypoint=draw(st.none() | some(words)),
                command=draw(some(words)),
                environment=draw(st.dictionaries(st.sampled_from(inner), words, max_size=3)) if inner else {},
                secrets=listed,
                required=draw(some(st.sampled_from(outer))) if outer else (),
                resources=draw(resources()),
                placement=draw(
                    st.builds(Placement, pool=tags, require=some(tags), prefer=st.sampled_from(["", "previous_node"]))
                ),
                timeout=draw(st.none() | seconds),
                stop_grace=draw(seconds),
                patience=draw(seconds),
                retry=draw(
                    st.builds(
                        Retry,
                        node_lost=st.integers(0, 100),
                        failed=st.integers(0, 100),
                        timeout=st.integers(0, 100),
                        delay=seconds,
                        workspace=st.sampled_from(["fresh", "continue"]),
                    )
                ),
                results=results,
                sweep=draw(
                    st.builds(
                        SweepPolicy,
                        max_running=st.integers(1, 100),
                        on_failure=st.sampled_from(["stop", "continue"]),
                        workspace=st.sampled_from(["separate", "shared", "nested"]),
                    )
                ),
                charts=draw(some(st.builds(Chart, file=paths, x=lines, y=some(lines).filter(bool), title=lines))),
                needs=before,
                join=draw(st.sampled_from(["all", "any"])),
                when=f"{owner}.results.{numbers[0]} > 3" if owner else None,
                gather=draw(st.booleans()),
                workspace=draw(st.sampled_from(["previous", "empty", *behind])),
                confirm=Confirm(
                    ask=draw(st.sampled_from(["never", "once", "always"])),
                    show=tuple(f"{b}/{draw(paths)}" for b in behind),
                ),
                pause_after=draw(st.booleans()),
                run_as=draw(st.sampled_from(["winslow", "image"])),
            )
        )
    return Pipeline(
        name=draw(tags),
        title=draw(lines),
        description=draw(texts),
        parameters={n: draw(parameters()) for n in outer},
        secrets={n: Secret(required=draw(st.booleans())) for n in secrets},
        environment=draw(st.dictionaries(st.sampled_from(inner), plain, max_size=3)) if inner else {},
        stages=tuple(made),
    )


@given(pipelines())
@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_pipeline_reads_back_as_it_was_written(pipeline: Pipeline) -> None:
    text = write(pipeline)
    assert parse(text) == pipeline
    assert write(parse(text)) == text


@given(texts)
@settings(max_examples=120, deadline=None)
def test_every_text_reads_back_as_it_was_written(text: str) -> None:
    changed = FULL_PIPELINE.but(description=text, environment={"LOG_LEVEL": text.replace("$", "$$")})
    assert parse(write(changed)) == changed


@given(st.integers(0, 2**60))
def test_a_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.floats(0, 300_000_000, allow_nan=False).map(lambda s: round(s, 9)))
def test_a_duration_reads_back(duration: float) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_a_duration_or_refused(text: str) -> None:
    for reads in (parse_size, parse_duration):
        with suppress(Invalid):
            assert reads(text) >= 0


def answered(text: str) -> None:
    before = time.process_time()
    try:
        found = parse(text)
    except InvalidPipeline as wrong:
        assert wrong.problems
        assert all(p.message and p.line >= 0 and p.column >= 0 for p in wrong.problems)
    else:
        assert parse(write(found)) == found
    assert time.process_time() - before < 1


@given(st.one_of(st.text(), st.text(alphabet="-: \n[]{}?&*!|>'\"#%@`\t,a1~<")))
@settings(max_examples=250, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    answered(text)


LINES = sorted({line for text in (FULL, *(t for t, _ in WRONG.values())) for line in text.splitlines()})
WORDS = [
    "", "{}", "[]", "[a]", "{a: b}", "x", "1", "-1", "true", "'", '"', "&a", "*a", "!!int 1", "<<: *a", "${X}", "${",
    "|", ">", "\t", "\0", "null", "# x", "? ", ": ", "- ", "99999999999999999999", "1e9", "\ud800", "é",
]  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(FULL)), st.integers(0, 12), st.one_of(st.sampled_from(WORDS), st.text(max_size=3))
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=250, deadline=None)
def test_any_damage_to_a_file_is_answered(cuts: list[tuple[int, int, str]]) -> None:
    text = FULL
    for at, length, word in cuts:
        text = text[:at] + word + text[at + length :]
    answered(text)


@given(st.lists(st.sampled_from(LINES), max_size=15), st.booleans())
@settings(max_examples=250, deadline=None)
def test_any_mixture_of_lines_is_answered(chosen: list[str], headed: bool) -> None:
    answered(("winslow: 1\nname: t\n" if headed else "") + "\n".join(chosen))


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_value_of_any_wrong_kind_is_answered(data: st.DataObject) -> None:
    """Every value of the full example, one at a time, replaced by something else."""
    places = [i for i, line in enumerate(FULL.splitlines()) if ": " in line]
    rows = FULL.splitlines()
    at = data.draw(st.sampled_from(places))
    rows[at] = rows[at].partition(": ")[0] + ": " + data.draw(st.sampled_from(WORDS))
    answered("\n".join(rows) + "\n")
