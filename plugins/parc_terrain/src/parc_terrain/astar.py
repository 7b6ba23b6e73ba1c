"""The cheapest route over the cells of a terrain, by walking, climbing, dropping and jumping.

Source: `parc_motion.published`: moves, limits, step cost and default values. Unlike there the answer is the
true optimum of the drawn costs (its heuristic overestimates), a search never ends early with a part of a path, every
move's random cost is drawn once, so that equal generators give equal paths, and no diagonal passes through a wall.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy.sparse import csr_array

from parc_core.config import setting
from parc_core.errors import ConfigError, NoPathFound
from parc_core.interfaces import Planner, stop_point
from parc_motion.terrains import Path, Terrain
from parc_terrain.ends import EndPicker
from parc_terrain.graph import Edges, bumpiness, neighbor_edges
from parc_terrain.jumps import JumpRule, jump_edges
from parc_terrain.reasons import Search, outside, why_not
from parc_terrain.search import cheapest_paths, move_costs, trace_path
from parc_terrain.simplify import flat_maxpool_2x2

__all__ = ["AStarConfig", "AStarPlanner"]


@attrs.frozen(kw_only=True)
class AStarConfig:
    """Settings of `astar`."""

    max_z_diff: float = setting(
        2.1, ge=0, le=100.0, unit="m", help="Maximum height difference to a neighboring cell, up or down."
    )
    jumps: Literal["published", "careful"] = setting(
        "published",
        choices=("published", "careful"),
        help="Jump rules. published: between two cliff cells unless a wall is between them. "
        "careful: only over a gap, and every cell that the line crosses is checked.",
    )
    max_jump_xy_dist: float = setting(
        3.0, ge=0, le=100.0, unit="m", help="Maximum horizontal length of a jump; 0 allows no jumps."
    )
    min_jump_z: float = setting(
        -1.0, ge=-100.0, le=100.0, unit="m", help="Lowest landing of a jump, relative to its take-off."
    )
    max_jump_z: float = setting(
        0.5,
        ge=0,
        le=100.0,
        unit="m",
        help="Highest landing of a jump and highest ground below it, relative to its take-off.",
    )
    w_xy: float = setting(1.0, ge=0, le=1e6, help="Cost of a move per square meter of its horizontal length.")
    w_z: float = setting(0.15, ge=0, le=1e6, help="Cost of a move per square meter of its height difference.")
    w_bumpy: float = setting(0.0, ge=0, le=1e6, help="Cost of a move per meter of bumpiness at its end.")
    max_bumpy: float = setting(0.2, ge=0, le=100.0, unit="m", help="Maximum bumpiness that is counted.")
    uniform_cost_min: float = setting(0.0, ge=0, le=1e6, help="Minimum random cost of a move.")
    uniform_cost_max: float = setting(0.5, ge=0, le=1e6, help="Maximum random cost of a move.")
    max_cost: float = setting(1000.0, ge=1e-9, le=1e9, help="Paths with a higher cost are rejected.")
    ends: Literal["border", "anywhere"] = setting(
        "border",
        choices=("border", "anywhere"),
        help="Where start and goal lie: near the border of the terrain, or anywhere.",
    )
    min_start_end_xy_dist: float = setting(
        5.0, ge=0, le=1e4, unit="m", help="Minimum horizontal distance between start and goal."
    )
    walk_z: float = setting(
        0.2,
        ge=0,
        le=100.0,
        unit="m",
        help="Height differences up to this are labeled as walking, not as climb or drop.",
    )
    corner_cutting: bool = setting(
        False, help="Whether a diagonal move may pass the corner of a higher cell."
    )
    simplify: bool = setting(
        True, help="Raise every block of 2 x 2 cells to its highest cell before planning."
    )
    pad: int = setting(
        4, ge=0, le=100, help="Side of the level squares around start and goal, in cells; 0 for none."
    )
    tries: int = setting(10, ge=1, le=10_000, help="Number of starts that are tried per terrain.")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"jumps": "published", "corner_cutting": True},
        # what a walker does without hands: knee-high steps and a leap of two cells
        "moderate": {
            "max_z_diff": 0.5,
            "jumps": "careful",
            "max_jump_xy_dist": 1.0,
            "min_jump_z": -0.5,
            "max_jump_z": 0.3,
        },
    }

    def __attrs_post_init__(self) -> None:
        for low, high in (("uniform_cost_min", "uniform_cost_max"), ("min_jump_z", "max_jump_z")):
            if getattr(self, low) > getattr(self, high):
                values = f"{low} is {getattr(self, low)}, more than {high} {getattr(self, high)}"
                raise ConfigError(f"astar: {values}. Exchange the two.")


class AStarPlanner(Planner):
    """Plans between two random level places, or between two given cells, on a terrain of any size."""

    def __init__(self, config: AStarConfig) -> None:
        self.config = config
        self.picker = EndPicker(where=config.ends, distance=config.min_start_end_xy_dist, pad=config.pad)

    def prepare(self, terrain: Terrain, rng: np.random.Generator) -> Terrain:
        """The terrain made coarser, with level squares around two random places that are far enough apart.

        A terrain too small for two such places gets none; `plan` says so.
        """
        if self.config.simplify:
            terrain = attrs.evolve(terrain, height=flat_maxpool_2x2(terrain.height), bounds=None)
        return attrs.evolve(terrain, height=self.picker.level_two(terrain, rng), bounds=None)

    def plan(self, terrain: Terrain, rng: np.random.Generator) -> Path:
        """The cheapest path from a random start to a random goal that can be reached from it.

        Raises:
            NoPathFound: no two level places far enough apart, or none of the tried starts leads to one; with the
                reason that the most starts failed for.
        """
        config = self.config
        cells = self.picker.cells(terrain)
        graph = self._graph(terrain, rng)
        number = cells[:, 0] * terrain.shape[1] + cells[:, 1]
        failed: list[tuple[str, str]] = []
        for pick in rng.permutation(len(cells)):
            stop_point()
            far = self.picker.far_from(terrain, cells, cells[pick])
            if not far.any():
                continue
            start = int(number[pick])
            total, before = cheapest_paths(graph, start)
            goals = number[far & (total[number] <= config.max_cost)]
            if len(goals):
                goal = int(goals[rng.integers(len(goals))])
                return trace_path(terrain, before, start, goal, float(total[goal]), config.walk_z)
            nearest = int(number[far][total[number[far]].argmin()])
            failed.append(why_not(Search(graph, terrain.shape, start, nearest, total), config))
            if len(failed) == config.tries:
                break
        raise NoPathFound(_most_common(failed) if failed else f"astar: {self.picker.too_small(terrain)}")

    def plan_between(
        self, terrain: Terrain, start: Sequence[int], goal: Sequence[int], rng: np.random.Generator
    ) -> Path:
        """The cheapest path from one cell to another; neither needs a level square or a distance.

        Args:
            terrain: planned on as it is, see `prepare`.
            start, goal: row and column of a cell.
            rng: draws the random costs of the moves.

        Raises:
            NoPathFound: an end lies outside the grid, the two are the same, no way leads there, or it costs too much.
        """
        ends = {"start": tuple(int(k) for k in start), "goal": tuple(int(k) for k in goal)}
        for name, cell in ends.items():
            if outside(cell, terrain.shape):
                nx, ny = terrain.shape
                raise NoPathFound(
                    f"astar: the {name} cell {cell} lies outside the grid of {nx} x {ny} cells; "
                    f"expected (0, 0) to ({nx - 1}, {ny - 1})."
                )
        if ends["start"] == ends["goal"]:
            raise NoPathFound(f"astar: start and goal are the same cell {ends['start']}; a path needs two.")
        first, last = (cell[0] * terrain.shape[1] + cell[1] for cell in ends.values())
        graph = self._graph(terrain, rng)
        total, before = cheapest_paths(graph, first)
        if total[last] > self.config.max_cost:
            _, reason = why_not(Search(graph, terrain.shape, first, last, total), self.config)
            raise NoPathFound(f"astar: {reason}")
        return trace_path(terrain, before, first, last, float(total[last]), self.config.walk_z)

    def moves(self, terrain: Terrain, rng: np.random.Generator) -> tuple[Edges, np.ndarray]:
        """All moves that the settings allow, and the cost of each with its random part, ``[E]``."""
        config = self.config
        rule = JumpRule(
            max_distance=config.max_jump_xy_dist,
            min_rise=config.min_jump_z,
            max_rise=config.max_jump_z,
            lines=config.jumps,
        )
        walks = neighbor_edges(terrain, config.max_z_diff, config.corner_cutting)
        edges = Edges.join([walks, jump_edges(terrain, rule)])
        cost = config.w_xy * edges.length**2 + config.w_z * edges.rise**2
        if config.w_bumpy > 0:
            bumpy = np.minimum(bumpiness(terrain.height), config.max_bumpy).ravel()
            cost = cost + config.w_bumpy * bumpy[edges.stop]
        return edges, cost + rng.uniform(config.uniform_cost_min, config.uniform_cost_max, len(cost))

    def _graph(self, terrain: Terrain, rng: np.random.Generator) -> csr_array:
        return move_costs(*self.moves(terrain, rng), terrain.height.size)


def _most_common(failed: list[tuple[str, str]]) -> str:
    """What the most starts failed for, with the first of them as the example."""
    label, count = collections.Counter(label for label, _ in failed).most_common(1)[0]
    text = next(text for other, text in failed if other == label)
    if len(failed) == 1:
        return f"astar: the only start leads to no goal: {text}"
    share = "all" if count == len(failed) else f"{count}"
    return f"astar: none of {len(failed)} starts leads to a goal; {share} of them for this reason: {text}"
