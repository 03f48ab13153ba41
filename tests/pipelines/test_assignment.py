"""The exact assignment, against every way there is."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from roadusers.assignment import assign


def best(cost: np.ndarray, most: float) -> tuple[int, float]:
    """(pairs, total) of the best assignment by trying all: most pairs first, then the least total."""
    rows, columns = cost.shape
    answer = (0, 0.0)
    for chosen in itertools.product([None, *range(columns)], repeat=rows):
        pairs = [(r, c) for r, c in enumerate(chosen) if c is not None]
        if len({c for _, c in pairs}) == len(pairs) and all(cost[p] <= most for p in pairs):
            total = sum(cost[p] for p in pairs)
            if (-len(pairs), total) < (-answer[0], answer[1]):
                answer = (len(pairs), float(total))
    return answer


costs = st.integers(1, 4).flatmap(
    lambda columns: st.lists(
        st.lists(
            st.one_of(st.integers(0, 9).map(float), st.floats(0, 10), st.just(float("inf"))),
            min_size=columns,
            max_size=columns,
        ),
        min_size=1,
        max_size=4,
    )
)


@given(costs, st.sampled_from([3.0, 8.0, 100.0]))
def test_no_assignment_has_more_pairs_or_the_same_for_less(rows: list[list[float]], most: float) -> None:
    cost = np.array(rows)
    pairs = assign(cost, most)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    count, total = best(cost, most)
    assert len(pairs) == count
    assert sum(cost[p] for p in pairs) <= total + 1e-9


def test_crowded_frames_get_the_least_total_of_all_orders() -> None:
    rng = np.random.default_rng(1)
    orders = np.array(list(itertools.permutations(range(6))))
    for _ in range(300):
        cost = rng.integers(0, 12, (6, 6)).astype(float)
        least = cost[np.arange(6), orders].sum(axis=1).min()
        assert sum(cost[p] for p in assign(cost)) == least


def test_nothing_to_assign_gives_no_pairs() -> None:
    assert assign(np.zeros((0, 3))) == []
    assert assign([[float("inf")]]) == []


def test_forty_road_users_are_assigned_to_themselves_whatever_the_order() -> None:
    rng = np.random.default_rng(3)
    order = rng.permutation(40)
    places = rng.uniform(0, 1000, 40)
    assert assign(np.abs(places[:, None] - places[order][None, :])) == sorted(
        (int(r), int(c)) for c, r in enumerate(order)
    )
