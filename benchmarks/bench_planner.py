"""Planning with `astar`, default settings: CPU time per plan, graph and search, and how many plans reach their goal.

Run: ``python benchmarks/bench_planner.py [--repeat 60] [--json]``. Terrains are made and prepared before the clock
starts, as for the published figures; those include plans that were cut off and returned as if they had arrived.
"""

from __future__ import annotations

import attrs
import numpy as np
from measure import Figure, arguments, cpu_ms, report

from parc_core.errors import NoPathFound
from parc_core.interfaces import TerrainSource
from parc_motion.terrains import Path, Terrain
from parc_terrain.astar import AStarConfig, AStarPlanner
from parc_terrain.boxes import BoxConfig, BoxTerrain
from parc_terrain.stairs import StairConfig, StairTerrain


def main() -> None:
    """Print one table, or one JSON object."""
    options = arguments(__doc__, repeat=60)
    wide = BoxConfig(dim_x=100, dim_y=100, num_boxes=390)
    figures = [
        _plans("boxes16", BoxTerrain(BoxConfig()), options.repeat, 163.0),
        _plans("stairs16", StairTerrain(StairConfig()), options.repeat, 376.0),
        _plans("boxes100", BoxTerrain(wide), min(options.repeat, 20), 6940.0),
    ]
    report(figures, options.json)


def _plans(name: str, source: TerrainSource, repeat: int, published: float) -> Figure:
    planner, grounds = AStarPlanner(AStarConfig()), []
    for i in range(repeat):
        rng = np.random.default_rng(i)
        grounds.append(planner.prepare(source.sample(rng), rng))
    answers: dict[int, Path | NoPathFound] = {}

    def plan(i: int) -> None:
        try:
            answers[i] = planner.plan(grounds[i], np.random.default_rng(i))
        except NoPathFound as reason:
            answers[i] = reason

    figure = cpu_ms(name, plan, repeat, published)
    paths = [(i, answer) for i, answer in answers.items() if isinstance(answer, Path)]
    whole = sum(_reaches(planner, grounds[i], i, path) for i, path in paths)
    note = f"{whole} of {len(paths)} plans reach their goal; {repeat - len(paths)} of {repeat} terrains have no path"
    return attrs.evolve(figure, note=note)


def _reaches(planner: AStarPlanner, ground: Terrain, seed: int, path: Path) -> bool:
    """Whether a plan is whole: between its own first and last cell the same costs give the same price."""
    start, goal = ground.cell_of(path.points[[0, -1], :2])
    again = planner.plan_between(ground, start, goal, np.random.default_rng(seed))
    far = (
        np.linalg.norm(path.points[-1, :2] - path.points[0, :2])
        >= planner.config.min_start_end_xy_dist - 1e-4
    )
    return bool(far and abs(again.cost - path.cost) < 1e-9)


if __name__ == "__main__":
    main()
