"""Tracking, cleaning and measuring on sightings whose truth is known, without any picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from roadusers import cleaning, measures, tracker
from roadusers.tracks import Sample, Track

RATE, DIAGONAL = 25, 800.0
LINE = measures.Line(320, 0, 320, 360)


def sighting(frame: int, x: float, y: float, width: float = 40, height: float = 24, edges: str = "") -> Sample:
    return Sample(frame, frame / RATE, x, y, width, height, edges, True, 0.5)


def follow(frames: Sequence[Sequence[Sample]], **settings: float) -> list[Track]:
    found, _ = tracker.track_shot(0, ((k / RATE, seen) for k, seen in enumerate(frames)), tracker.Settings(**settings))
    return found


def straight(
    identity: int, frames: range, x: float, across: float, y: float = 100, motion: float = 0.5, size: float = 40
) -> Track:
    return Track(
        identity,
        0,
        [
            Sample(f, f / RATE, x + across * (f - frames[0]) / RATE, y, size, size * 0.6, "", True, motion)
            for f in frames
        ],
    )


def test_two_that_meet_head_on_keep_their_ids() -> None:
    rng = np.random.default_rng(5)
    frames = [
        [sighting(k, 20 + 6 * k + rng.normal(0, 1), 100), sighting(k, 620 - 6 * k + rng.normal(0, 1), 130)]
        for k in range(100)
    ]
    found = follow(frames)
    assert [t.id for t in found] == [1, 2]
    assert [len(t.samples) for t in found] == [100, 100]
    assert all(np.all(np.diff(t.points()[:, 0]) * way > -4) for t, way in zip(found, (1, -1), strict=True))


def test_a_short_gap_is_bridged_with_the_same_id() -> None:
    frames = [[] if 30 <= k < 42 else [sighting(k, 20 + 5 * k, 100)] for k in range(80)]
    found = follow(frames, gap=0.6)
    assert len(found) == 1
    assert found[0].samples[-1].frame == 79


def test_a_long_gap_ends_the_track() -> None:
    frames = [[] if 30 <= k < 60 else [sighting(k, 20 + 5 * k, 100)] for k in range(90)]
    assert len(follow(frames, gap=0.6)) == 2


def test_a_flicker_of_two_frames_is_never_believed() -> None:
    assert follow([[sighting(k, 100, 100)] if k in (10, 11) else [] for k in range(40)]) == []


def test_clean_up_joins_the_pieces_of_a_broken_path() -> None:
    pieces = [straight(1, range(0, 30), 0, 120), straight(2, range(45, 80), 216, 120)]
    joined, count = cleaning.join(pieces, cleaning.Settings(gap=1.0))
    assert (len(joined), count, joined[0].id) == (1, 1, 1)


def test_clean_up_does_not_join_a_follower_to_who_has_left_the_picture() -> None:
    left = straight(1, range(0, 30), 500, 120)
    left.samples[-1] = Sample(29, 29 / RATE, 639, 100, 20, 24, "r", True, 0.5)
    follower = straight(2, range(32, 70), 625, 30)
    assert len(cleaning.join([left, follower], cleaning.Settings())[0]) == 2
    left.samples[-1] = Sample(29, 29 / RATE, 616, 100, 40, 24, "", True, 0.5)  # had it not left, it would be the same
    assert len(cleaning.join([left, follower], cleaning.Settings())[0]) == 1


def test_three_pieces_become_one() -> None:
    pieces = [straight(n + 1, range(30 * n, 30 * n + 22), 144 * n, 120) for n in range(3)]
    joined, count = cleaning.join(pieces, cleaning.Settings(gap=1.0))
    assert (len(joined), count) == (1, 2)


def test_two_blobs_on_one_vehicle_are_one_road_user() -> None:
    body = straight(1, range(0, 60), 0, 100, size=80)
    wheel = straight(2, range(10, 50), 40, 100, y=105, size=20)
    left, absorbed = cleaning.absorb([body, wheel])
    assert ([t.id for t in left], absorbed) == ([1], 1)


def test_a_load_that_swings_on_its_vehicle_is_no_road_user_of_its_own() -> None:
    lorry = straight(1, range(0, 60), 0, 100, size=100)
    swinging = [sighting(s.frame, s.x + 30 * np.sin(s.frame / 4), s.y, 20, 12) for s in lorry.samples]
    left, absorbed = cleaning.absorb([lorry, Track(2, 0, swinging)])
    assert ([t.id for t in left], absorbed) == ([1], 1)


def test_two_vehicles_side_by_side_stay_two() -> None:
    left, absorbed = cleaning.absorb([straight(1, range(0, 60), 0, 100), straight(2, range(0, 60), 5, 100, y=160)])
    assert (len(left), absorbed) == (2, 0)


@pytest.mark.parametrize(
    ("track", "why"),
    [
        (straight(1, range(0, 5), 0, 400), "too short"),
        (straight(1, range(0, 100), 100, 2), "does not travel"),
        (straight(1, range(0, 100), 100, 60, motion=0.01), "does not move by itself"),
    ],
)
def test_what_is_no_road_user_is_dropped_for_a_reason(track: Track, why: str) -> None:
    kept, reasons = cleaning.drop([track], DIAGONAL, [0.0], cleaning.Settings())
    assert (kept, dict(reasons)) == ([], {why: 1})


def test_smoothing_fills_the_gap_and_marks_it_as_not_seen() -> None:
    whole = straight(1, range(0, 60), 0, 100)
    broken = Track(1, 0, [s for s in whole.samples if not 20 <= s.frame < 35])
    smooth = cleaning.smooth(broken)
    assert [s.frame for s in smooth.samples] == list(range(60))
    assert [s.frame for s in smooth.samples if not s.seen] == list(range(20, 35))
    assert np.abs(smooth.points() - whole.points()).max() < 2


def test_the_mean_speed_is_right_although_sightings_tremble() -> None:
    rng = np.random.default_rng(11)
    track = straight(1, range(0, 75), 0, 150)
    shaky = Track(1, 0, [sighting(s.frame, s.x + rng.normal(0, 2), s.y + rng.normal(0, 2)) for s in track.samples])
    measured = measures.measure(cleaning.smooth(shaky), LINE, DIAGONAL, 0, 10, 1 / RATE)
    assert measured.speed_px_s == pytest.approx(150, rel=0.04)
    assert (measured.direction, measured.speed_from) == ("to the right", "whole")


def wander(places: Sequence[float]) -> Track:
    return Track(1, 0, [sighting(k, x, 100) for k, x in enumerate(places)])


def test_who_crosses_the_line_is_counted_once_with_its_direction() -> None:
    over = measures.crossing(wander(range(200, 440, 4)), LINE, DIAGONAL)
    assert over is not None
    assert over.direction == "to the right"
    assert over.second == pytest.approx(30 / RATE, abs=0.05)


def test_who_wavers_on_the_line_is_counted_once() -> None:
    there_and_back = [*range(200, 400, 5), *range(400, 280, -5), *range(280, 440, 5)]
    over = measures.crossing(wander(there_and_back), LINE, DIAGONAL)
    assert over is not None
    assert over.direction == "to the right"


def test_who_turns_back_over_the_line_is_not_counted() -> None:
    assert measures.crossing(wander([*range(200, 400, 5), *range(400, 200, -5)]), LINE, DIAGONAL) is None


def test_a_line_counts_alike_from_whichever_end_it_is_given() -> None:
    track = wander(range(200, 440, 4))
    other = measures.crossing(track, measures.Line(320, 360, 320, 0), DIAGONAL)
    assert other == measures.crossing(track, LINE, DIAGONAL)


def test_who_passes_beyond_the_end_of_the_line_is_not_counted() -> None:
    assert measures.crossing(wander(range(200, 440, 4)), measures.Line(320, 200, 320, 360), DIAGONAL) is None


def test_seconds_count_every_road_user_once() -> None:
    users = [straight(1, range(0, 60), 0, 100), straight(2, range(30, 90), 0, 100)]
    measured = [measures.measure(t, LINE, DIAGONAL, 0, 4, 1 / RATE) for t in users]
    rows = measures.per_second(users, measured, 4.0)
    assert [r.active for r in rows] == [1, 2, 2, 1]
    assert [r.entered for r in rows] == [1, 1, 0, 0]
    assert rows[-1].cumulative == 2


def test_the_heat_map_holds_the_seconds_spent() -> None:
    still = Track(1, 0, [sighting(k, 100, 100) for k in range(50)])
    heat = measures.occupancy([still], 640, 360, 1 / RATE, 2.0)
    assert heat.max() == pytest.approx(2.0)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] == pytest.approx(50, abs=8)
