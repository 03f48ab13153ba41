"""A pattern for GPUs finds the same ones in Nomad as in admission, or stages would wait for ever for what is there."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from winslow_nomad.core.admit import model_matches
from winslow_nomad.driver.nomad.gpu_model import pattern

ASCII = "".join(map(chr, range(0x20, 0x7F)))
words = st.text(alphabet=ASCII.replace(" ", ""), min_size=1, max_size=6)
models = st.lists(words | st.sampled_from(["NVIDIA", "RTX", "A100-SXM4-80GB", "2080", "Ti"]), min_size=1, max_size=4)
near = st.text(alphabet="ab*?[]!-^\\ .A", min_size=1, max_size=8)
globs = near | st.text(alphabet=ASCII, min_size=1, max_size=8) | st.sampled_from(["RTX*", "*a100*", "rtx 20[78]0*"])


def found_by_nomad(regexp: str, model: str) -> bool:
    """The part of RE2's language that is used means the same in Python, but for two things."""
    return re.search(regexp.replace(r"\x{10FFFF}", "\U0010ffff"), model, re.ASCII) is not None


@settings(max_examples=800, deadline=None)
@given(globs, models.map(" ".join))
@example("RTX*", "NVIDIA GeForce RTX 2080 Ti")
@example("2080", "NVIDIA GeForce RTX 2080 Ti")
@example("[0-_]", "a")
@example("[!0-_]", "A")
@example("[Y-_]", "y")
@example("[z-a]", "b")
@example("[!z-a]", "b")
@example("[]a]", "]")
@example("[!]a]", "x")
@example("[", "[")
@example("a[", "A[")
@example("a.c", "abc")
@example(" a", "x a")
def test_nomad_finds_the_same_models_as_admission(glob: str, model: str) -> None:
    assert found_by_nomad(pattern(glob), model) == model_matches(glob, model)


@given(st.text(alphabet="ab", min_size=1, max_size=4), st.text(alphabet="ab ", min_size=1, max_size=8))
def test_also_where_matches_are_frequent(glob: str, model: str) -> None:
    single = " ".join(model.split())
    if single:
        assert found_by_nomad(pattern(f"*{glob}?"), single) == model_matches(f"*{glob}?", single)


@pytest.mark.parametrize("glob", ["", "a\n", "é", "x" * 129, "\0"])
def test_what_is_no_plain_text_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match="cannot be a pattern"):
        pattern(glob)
