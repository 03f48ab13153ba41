"""The assignment problem, exactly: which detection belongs to which track, at the least total cost.

The Hungarian method with potentials (Jonker-Volgenant style shortest augmenting paths), O(n^2 m); a street has tens
of rows, so numpy is enough and scipy is not needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def assign(cost: ArrayLike, most: float = np.inf) -> list[tuple[int, int]]:
    """Pairs (row, column), each at most once: as many as can be had for `most` or less each, then the cheapest.

    A pair that costs more than `most`, or infinity, is never made.
    """
    given = np.asarray(cost, dtype=np.float64)
    if given.ndim != 2 or given.size == 0:
        return []
    if np.isnan(given).any():
        raise ValueError("a cost is not a number")
    allowed = np.isfinite(given) & (given <= most)
    if not allowed.any():
        return []
    # A forbidden pair costs more than any difference that allowed ones can make together.
    low = float(given[allowed].min())
    span = float(given[allowed].max()) - low
    forbidden = (span + 1.0) * (min(given.shape) + 1)
    matrix = np.where(allowed, given - low, forbidden)
    flipped = matrix.shape[0] > matrix.shape[1]
    columns = _solve(matrix.T if flipped else matrix)
    pairs = [(int(c), r) if flipped else (r, int(c)) for r, c in enumerate(columns)]
    return sorted((r, c) for r, c in pairs if allowed[r, c])


def _solve(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of every row, for a matrix with no more rows than columns."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.zeros(columns + 1, dtype=np.int64)  # row (from 1) that holds a column; column 0 is the start of a path
    for row in range(1, rows + 1):
        owner[0], column = row, 0
        slack = np.full(columns + 1, np.inf)
        came_from = np.zeros(columns + 1, dtype=np.int64)
        done = np.zeros(columns + 1, dtype=bool)
        while owner[column] != 0:
            done[column] = True
            free = ~done[1:]
            reduced = cost[owner[column] - 1] - row_price[owner[column]] - column_price[1:]
            better = free & (reduced < slack[1:])
            slack[1:][better] = reduced[better]
            came_from[1:][better] = column
            nearest = int(np.argmin(np.where(free, slack[1:], np.inf))) + 1
            delta = slack[nearest]
            row_price[owner[done]] += delta
            column_price[done] -= delta
            slack[1:][free] -= delta
            column = nearest
        while column:
            owner[column] = owner[came_from[column]]
            column = int(came_from[column])
    answer = np.zeros(rows, dtype=np.int64)
    for column in range(1, columns + 1):
        if owner[column]:
            answer[owner[column] - 1] = column - 1
    return answer
