"""What `${X}` stands for, which layer wins, what a sweep is, and which values are accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winslow_nomad.core import expand
from winslow_nomad.core.errors import Invalid
from winslow_nomad.core.expand import environment, grid_size, literal, names_in, parse_sweep, point, resolved
from winslow_nomad.core.pipeline import Parameter, Pipeline, Secret, StageDefinition
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import EnvironmentValue, Overrides, Stage
from winslow_nomad.core.values import check_value, typed_results

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def parameter(kind: str, **fields: object) -> Parameter:
    return Parameter(kind=kind, **fields)  # type: ignore[arg-type]


def merged(
    definition: dict[str, object] | None = None,
    *,
    pipeline: dict[str, object] | None = None,
    project: dict[str, object] | None = None,
    stage: dict[str, object] | None = None,
    installation: tuple[EnvironmentValue, ...] = (),
) -> dict[str, tuple[str, str]]:
    """Name -> (value, origin) of a stage made of these layers."""
    step = StageDefinition(id="detect", **(definition or {}))  # type: ignore[arg-type]
    whole = Pipeline(name="p", stages=(step,), **(pipeline or {}))  # type: ignore[arg-type]
    owner = Project(id="x", name="x", pipeline=whole, created=NOW, updated=NOW, **(project or {}))  # type: ignore[arg-type]
    execution = Stage(number=1, definition=step, made=NOW, queued=NOW, **(stage or {}))  # type: ignore[arg-type]
    return {v.name: (v.value, v.origin) for v in environment(owner, execution, installation)}


# -- ${X}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$${A}", "$1"),
        ("$HOME $1 $(ls) 5$", "$HOME $1 $(ls) 5$"),
        ("${D}", "${A}"),  # what comes out is not expanded again
        ("", ""),
    ],
)
def test_references_are_replaced_once_and_dollars_are_kept(text: str, result: str) -> None:
    assert expand.expand(text, {"A": "1", "B": "2", "D": "${A}"}) == result


@pytest.mark.parametrize("text", ["${", "${A", "${}", "${A:-x}", "${1}", "${A B}", "${Ä}", "${A\n}", "${${A}}"])
def test_what_looks_like_a_reference_and_is_none_is_refused(text: str) -> None:
    for refuse in (lambda: expand.expand(text, {"A": "1"}), lambda: names_in(text)):
        with pytest.raises(Invalid) as caught:
            refuse()
        assert caught.value.code == "expand.malformed"


def test_an_undefined_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(Invalid, match=r"\$\{MIN_AERA\} is not defined. did you mean MIN_AREA\?") as caught:
        expand.expand("${MIN_AERA}", {"MIN_AREA": "1"})
    assert caught.value.code == "expand.undefined"


def test_names_are_listed_in_order_and_once() -> None:
    assert names_in("${B}${A} $${C} ${B}") == ("B", "A")


@given(st.text())
def test_a_literal_text_refers_to_nothing(text: str) -> None:
    assert names_in(literal(text)) == ()
    assert expand.expand(literal(text), {}) == text


def test_growth_is_bounded() -> None:
    values = [EnvironmentValue(name="V0", value="x" * 1000, origin="stage")]
    values += [EnvironmentValue(name=f"V{i}", value=f"${{V{i - 1}}}" * 50, origin="stage") for i in range(1, 9)]
    with pytest.raises(Invalid) as caught:
        resolved(values, {}, {})
    assert caught.value.code == "expand.too_long"


# -- layers


def test_the_nearest_layer_wins_and_is_named() -> None:
    layers: list[tuple[str, dict[str, dict[str, object]]]] = [
        ("pipeline", {"pipeline": {"environment": {"X": "pipeline"}}}),
        ("parameter", {"pipeline": {"parameters": {"X": parameter("string", default="parameter")}}}),
        ("project", {"project": {"values": {"X": "project"}}}),
        ("stage", {"definition": {"environment": {"X": "stage"}}}),
        ("run", {"stage": {"overrides": Overrides(values={"X": "run"})}}),
        ("sweep", {"stage": {"point": {"X": "sweep"}}}),
    ]
    installation = (EnvironmentValue(name="X", value="installation", origin="installation"),)
    given_layers: dict[str, dict[str, object]] = {}
    assert merged(installation=installation) == {"X": ("installation", "installation")}
    for origin, layer in layers:
        for part, fields in layer.items():
            given_layers[part] = given_layers.get(part, {}) | fields
        assert merged(installation=installation, **given_layers) == {"X": (origin, origin)}  # type: ignore[arg-type]


def test_no_layer_may_set_a_variable_of_winslow() -> None:
    evil = {"WINSLOW_ATTEMPT": "mine"}
    found = merged(
        {"environment": evil},
        pipeline={"environment": evil},
        project={"values": evil},
        stage={"overrides": Overrides(values=evil, environment=evil), "point": evil},
        installation=(EnvironmentValue(name="WINSLOW_ATTEMPT", value="mine", origin="installation"),),
    )
    assert found == {}


def test_values_are_literal_and_texts_of_the_pipeline_are_not() -> None:
    found = merged(
        {"environment": {"OUT": "${WINSLOW_OUTPUT}/x"}},
        pipeline={"parameters": {"A": parameter("string", default="${B}"), "C": parameter("string")}},
        project={"values": {"C": "5$ ${OUT}"}},
    )
    assert found["OUT"] == ("${WINSLOW_OUTPUT}/x", "stage")
    values = [EnvironmentValue(name=n, value=v, origin=o) for n, (v, o) in found.items()]
    assert resolved(values, {"WINSLOW_OUTPUT": "/output"}, {}).variables == {
        "WINSLOW_OUTPUT": "/output", "OUT": "/output/x", "A": "${B}", "C": "5$ ${OUT}",
    }  # fmt: skip


def test_files_are_given_as_places_in_the_input_pool() -> None:
    parameters = {"V": parameter("file"), "ALL": parameter("files"), "F": parameter("folder")}
    found = merged(
        pipeline={"parameters": parameters},
        project={"values": {"V": "a$b.mp4", "ALL": "x.mp4\ny\u2028z.mp4", "F": "day/one"}},
    )
    values = [EnvironmentValue(name=n, value=v, origin=o) for n, (v, o) in found.items()]
    assert resolved(values, {"WINSLOW_INPUT": "/input"}, {}).variables == {
        "WINSLOW_INPUT": "/input", "V": "/input/a$b.mp4", "F": "/input/day/one",
        "ALL": "/input/x.mp4\n/input/y\u2028z.mp4",
    }  # fmt: skip


def test_secrets_reach_only_the_stages_that_list_them() -> None:
    fields: dict[str, object] = {"secrets": {"KEY": Secret(), "OTHER": Secret()}}
    given_secrets: dict[str, object] = {"secrets": {"KEY": "secret:1", "OTHER": "secret:2"}}
    assert merged(pipeline=fields, project=given_secrets) == {}
    assert merged({"secrets": ("KEY",)}, pipeline=fields, project=given_secrets) == {"KEY": ("secret:1", "project")}


def test_secrets_of_the_installation_reach_only_the_stages_that_list_them_and_give_way_to_the_projects() -> None:
    installation = (EnvironmentValue(name="KEY", value="secret:9", origin="installation", secret=True),)
    fields: dict[str, object] = {"secrets": {"KEY": Secret()}}
    assert merged(pipeline=fields, installation=installation) == {}
    listed: dict[str, object] = {"secrets": ("KEY",)}
    assert merged(listed, pipeline=fields, installation=installation) == {"KEY": ("secret:9", "installation")}
    own: dict[str, object] = {"secrets": {"KEY": "secret:1"}}
    assert merged(listed, pipeline=fields, project=own, installation=installation) == {"KEY": ("secret:1", "project")}


def test_a_text_never_stands_in_for_a_secret() -> None:
    found = merged(
        {"secrets": ("KEY",)},
        pipeline={"secrets": {"KEY": Secret()}},
        project={"secrets": {"KEY": "secret:1"}},
        stage={"overrides": Overrides(environment={"KEY": "secret:999"})},
    )
    assert found == {"KEY": ("secret:1", "project")}


def test_an_optional_secret_that_nobody_gave_is_empty() -> None:
    found = merged({"secrets": ("KEY",)}, pipeline={"secrets": {"KEY": Secret(required=False)}})
    assert found == {"KEY": ("", "pipeline")}


def test_what_refers_to_a_secret_is_not_public() -> None:
    values = [
        EnvironmentValue(name="KEY", value="secret:1", origin="project", secret=True),
        EnvironmentValue(name="URL", value="http://${KEY}@host", origin="stage"),
        EnvironmentValue(name="DEEP", value="<${URL}>", origin="stage"),
        EnvironmentValue(name="PLAIN", value="p", origin="stage"),
    ]
    found = resolved(values, {}, {"secret:1": "s3cret$"})
    assert found.variables["DEEP"] == "<http://s3cret$@host>"
    assert found.public == {"PLAIN": "p"}


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"A": "${A}"}, "expand.cycle"),
        ({"A": "${B}", "B": "${C}", "C": "${A}"}, "expand.cycle"),
        ({"A": "${NO}"}, "expand.undefined"),
        ({f"V{i}": f"${{V{i + 1}}}" for i in range(2000)}, "expand.too_deep"),
    ],
)
def test_variables_that_cannot_be_settled_are_refused(texts: dict[str, str], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        resolved([EnvironmentValue(name=n, value=v, origin="stage") for n, v in texts.items()], {}, {})
    assert caught.value.code == code


def test_the_circle_is_named() -> None:
    values = [
        EnvironmentValue(name=n, value=v, origin="stage") for n, v in {"X": "${A}", "A": "${B}", "B": "${A}"}.items()
    ]
    with pytest.raises(Invalid, match="A -> B -> A"):
        resolved(values, {}, {})


def test_a_secret_that_was_deleted_is_an_error_and_not_an_empty_text() -> None:
    gone = [EnvironmentValue(name="KEY", value="secret:1", origin="project", secret=True)]
    with pytest.raises(Invalid) as caught:
        resolved(gone, {}, {})
    assert caught.value.code == "expand.secret_missing"


# -- sweeps


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("MIN_AREA=100..500:100", "MIN_AREA", ("100", "200", "300", "400", "500")),
        ("N=1..5", "N", ("1", "2", "3", "4", "5")),
        ("N=3..3", "N", ("3",)),
        ("N=3..1:-1", "N", ("3", "2", "1")),
        ("N=-1..1", "N", ("-1", "0", "1")),
        ("T=0.1..0.5:0.1", "T", ("0.1", "0.2", "0.3", "0.4", "0.5")),
        ("T=1..2:0.25", "T", ("1.00", "1.25", "1.50", "1.75", "2.00")),
        ("T=.5..1:.5", "T", ("0.5", "1.0")),
        (" N = 1 .. 3 : 1 ", "N", ("1", "2", "3")),
        ("MODEL=fast|exact", "MODEL", ("fast", "exact")),
        ("M=1.10|010|NO", "M", ("1.10", "010", "NO")),
        ("M=one", "M", ("one",)),
        ("M=a=b|c", "M", ("a=b", "c")),
    ],
)
def test_a_sweep_reads_as_written(text: str, name: str, values: tuple[str, ...]) -> None:
    assert parse_sweep(text) == (name, values)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("MIN_AREA", "sweep.syntax", "not a sweep"),
        ("=1..2", "sweep.syntax", "not a sweep"),
        ("1X=1..2", "sweep.syntax", "not a sweep"),
        ("X=", "sweep.empty", "has no values"),
        ("X=a||b", "sweep.empty", "empty value"),
        ("X=a|a", "sweep.repeated", "'a' twice"),
        ("X=1..3|5", "sweep.syntax", "mixes a range"),
        ("X=a..e", "sweep.syntax", "not a range"),
        ("X=1..5:0", "sweep.step", "is zero"),
        ("X=0.1..0.5", "sweep.step", "needs a step"),
        ("X=5..1", "sweep.direction", "X=5..1:-1"),
        ("X=1..5:-1", "sweep.direction", "X=1..5:1"),
        ("X=0..10:3", "sweep.end", "X=0..9:3 or X=0..12:3"),
        ("X=0..1000000", "sweep.too_large", "1000001 points"),
        ("X=0..1:0.000000000000000000000000000001", "sweep.too_large", "limit"),
        ("X=0..9" + "9" * 29, "sweep.too_large", "limit"),
        ("X=1e3..2e3:1e2", "sweep.syntax", "not a range"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_refused_with_the_cure(text: str, code: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_sweep(text)
    assert caught.value.code == code
    assert words in str(caught.value)


@given(
    st.integers(-1000, 1000),
    st.integers(1, 50),
    st.integers(0, 200),
    st.integers(0, 4),
    st.sampled_from([1, -1]),
)
def test_a_range_has_both_ends_and_equal_steps(start: int, step: int, count: int, digits: int, sign: int) -> None:
    def shown(n: int) -> str:
        return f"{n / 10**digits:.{digits}f}"

    end = start + sign * step * count
    _, values = parse_sweep(f"X={shown(start)}..{shown(end)}:{shown(sign * step)}")
    assert [round(float(v) * 10**digits) for v in values] == [start + sign * step * i for i in range(count + 1)]
    assert len({len(v.partition(".")[2]) for v in values}) == 1


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_points_are_the_product_in_the_order_of_the_grid(sizes: list[int]) -> None:
    grid = {f"N{i}": tuple(f"{i}.{v}" for v in range(size)) for i, size in enumerate(sizes)}
    expected = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    assert [point(grid, i) for i in range(grid_size(grid))] == expected
    for outside in (-1, len(expected)):
        with pytest.raises(IndexError):
            point(grid, outside)


def test_a_grid_has_at_most_a_million_points() -> None:
    axis = tuple(str(i) for i in range(1000))
    assert grid_size({"A": axis, "B": axis}) == 1_000_000
    assert point({"A": axis, "B": axis}, 999_999) == {"A": "999", "B": "999"}
    with pytest.raises(Invalid) as caught:
        grid_size({"A": axis, "B": axis, "C": ("1", "2")})
    assert caught.value.code == "sweep.too_large"
    with pytest.raises(Invalid):
        grid_size({"A": ()})


# -- values


@pytest.mark.parametrize(
    ("declared", "text", "canonical"),
    [
        (parameter("string"), " as is\n", " as is\n"),
        (parameter("integer"), " 300 ", "300"),
        (parameter("integer"), "+007", "7"),
        (parameter("integer", min="20", max="30"), "20", "20"),
        (parameter("number"), "1.10", "1.10"),
        (parameter("number", max="0.3"), "0.3", "0.3"),
        (parameter("number"), "1e-3", "1e-3"),
        (parameter("boolean"), "true", "true"),
        (parameter("choice", options=("fast", "exact")), "exact", "exact"),
        (parameter("file", accept=(".mp4",)), "./day//one.MP4", "day/one.MP4"),
        (parameter("files"), "a.mp4\n\nb.mp4\n", "a.mp4\nb.mp4"),
        (parameter("files"), "a\u2028b.mp4\nc\x0bd.mp4", "a\u2028b.mp4\nc\x0bd.mp4"),
        (parameter("folder"), "day/", "day"),
        (parameter("folder"), ".", "."),
        (parameter("file"), "...", "..."),
    ],
)
def test_a_fitting_value_is_accepted(declared: Parameter, text: str, canonical: str) -> None:
    assert check_value(declared, text) == canonical
    assert check_value(declared, canonical) == canonical


@pytest.mark.parametrize(
    ("declared", "text", "words"),
    [
        (parameter("integer"), "3.5", "'3.5' is not an integer."),
        (parameter("integer"), "", "'' is not an integer."),
        (parameter("integer"), "٣", "is not an integer"),
        (parameter("integer"), "9" * 41, "is not an integer"),
        (parameter("integer", min="20", max="100"), "19", "19 is less than 20. Allowed is 20 to 100."),
        (parameter("integer", max="100"), "101", "101 is more than 100. Allowed is up to 100."),
        (parameter("number"), "nan", "is not a number"),
        (parameter("number"), "inf", "is not a number"),
        (parameter("number"), "1,5", "is not a number"),
        (parameter("boolean"), "yes", "Write true or false."),
        (parameter("choice", options=("fast", "exact")), "exat", "Did you mean exact?"),
        (parameter("choice", options=("fast", "exact")), "zzz", "There are exact and fast."),
        (parameter("file"), "/etc/passwd", "is an absolute path"),
        (parameter("file"), "a/../../b", "leads out of the input pool"),
        (parameter("file"), "", "No file is named"),
        (parameter("file"), ".", "is not a file"),
        (parameter("file"), "a\nb", "line break"),
        (parameter("file"), "x" * 256, "255 bytes"),
        (
            parameter("file", accept=(".mp4", ".mkv")),
            "a.avi",
            "'a.avi' is not accepted. Accepted are .mp4, .mkv.",
        ),
        (parameter("files"), "\n", "No file is named"),
        (parameter("files"), "a\n../b", "leads out"),
        (parameter("string"), "a\0b", "NUL"),
        (parameter("string"), "\ud800", "half of one"),
        (parameter("string"), "x" * 100_001, "100001 bytes"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(declared: Parameter, text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_value(declared, text)
    assert words in str(caught.value)
    assert caught.value.code.startswith("value.")


def test_a_refusal_names_the_value_where_its_name_is_known() -> None:
    with pytest.raises(Invalid, match=r"^MIN_AREA: 'x' is not an integer"):
        check_value(parameter("integer"), "x", name="MIN_AREA")


@given(st.sampled_from(["string", "integer", "number", "boolean", "file", "files", "folder"]), st.text())
def test_any_text_is_accepted_or_refused_and_accepted_texts_are_stable(kind: str, text: str) -> None:
    try:
        once = check_value(parameter(kind), text)
    except Invalid:
        return
    assert check_value(parameter(kind), once) == once


def test_results_take_their_declared_kind_and_others_stay_texts() -> None:
    definition = StageDefinition(
        id="s",
        results={
            "n": "integer",
            "x": "number",
            "ok": "boolean",
            "t": "string",
            "bad": "integer",
            "gone": "number",
        },  # type: ignore[dict-item]
    )
    found, problems = typed_results(
        definition, {"n": " 12 ", "x": "0.5", "ok": "True", "t": "7", "bad": "12.5", "extra": "3"}
    )
    assert found == {"n": 12, "x": 0.5, "ok": True, "t": "7", "bad": "12.5", "extra": "3"}
    assert [type(v) for v in found.values()] == [int, float, bool, str, str, str]
    assert problems == ("The result bad is '12.5', which is not an integer.",)
