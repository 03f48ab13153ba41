"""What somebody may have meant, and what there is, as sentences."""

from __future__ import annotations

import pytest

from winslow_nomad.core.suggest import did_you_mean, listed, suggestion


@pytest.mark.parametrize(
    ("word", "known", "sentence"),
    [
        ("MIN_ARAE", ["MIN_AREA", "VIDEO"], "Did you mean MIN_AREA?"),
        ("boss", ["admin", "viewer", "member"], "There are admin, member and viewer."),
        ("zzz", ["a", "b"], "There are a and b."),
        ("zzz", ["LICENCE"], "There is only LICENCE."),
        ("zzz", [], "It has none."),
        ("zzz", [f"n{i}" for i in range(13)], "It has none."),
    ],
)
def test_what_there_is_is_said_in_a_sentence_and_names_are_left_as_they_are(
    word: str, known: list[str], sentence: str
) -> None:
    assert suggestion(word, known, "It has none.") == sentence


def test_within_a_sentence_it_has_no_end_of_its_own() -> None:
    assert did_you_mean("zzz", ["a", "b", "c"]) == "there are a, b and c"
    assert did_you_mean("zzz", ["a"]) == "there is only a"
    assert listed(["a"]) == "a"
