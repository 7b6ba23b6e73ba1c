"""Why a search found no path between two cells."""

from __future__ import annotations

from typing import Protocol

import attrs
import numpy as np
from scipy.sparse import csr_array

__all__ = ["Limits", "Search", "outside", "why_not"]


class Limits(Protocol):
    """The settings that a reason names."""

    @property
    def max_z_diff(self) -> float:
        """Highest step, m."""

    @property
    def max_jump_xy_dist(self) -> float:
        """Longest jump, m."""

    @property
    def max_cost(self) -> float:
        """Cost of the dearest path that is taken."""


@attrs.frozen(eq=False)
class Search:
    """A search that is over: what it looked at, between which cells (by number), and the cost of reaching each cell."""

    graph: csr_array
    shape: tuple[int, int]
    start: int
    goal: int
    total: np.ndarray  # [num_cells], infinite where there is no way


def outside(cell: tuple[int, ...], shape: tuple[int, int]) -> bool:
    """Whether there is no such cell."""
    return len(cell) != 2 or any(not 0 <= k < count for k, count in zip(cell, shape))


def why_not(search: Search, limits: Limits) -> tuple[str, str]:
    """A label for counting and a sentence for people: why the goal was not reached, or not for a price that is paid."""
    start, goal = (tuple(int(k) for k in divmod(n, search.shape[1])) for n in (search.start, search.goal))
    advice = f"raise max_z_diff ({limits.max_z_diff} m) or max_jump_xy_dist ({limits.max_jump_xy_dist} m)."
    if np.isfinite(search.total[search.goal]):
        cost = f"costs {search.total[search.goal]:.2f}, more than max_cost ({limits.max_cost})"
        return "cost", f"the cheapest path from {start} to {goal} {cost}; raise max_cost."
    reached = int(np.isfinite(search.total).sum())
    if reached == 1:
        return "no way out", f"no move leads out of the start cell {start}; {advice}"
    if not (search.graph.indices == search.goal).any():
        return "no way in", f"no move leads into the goal cell {goal}; {advice}"
    return (
        "other part",
        f"the goal cell {goal} lies in another part of the terrain: from {start} {reached} of {len(search.total)} "
        f"cells can be reached; {advice}",
    )
