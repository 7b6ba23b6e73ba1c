"""Cells under a body, and the heights that they may take."""

from __future__ import annotations

import numpy as np
import torch

from parc_motion.geometry import PackedTerrains, height_bounds, touched_cells, touched_rows
from parc_motion.kinematics import SurfacePoints
from parc_testing.builders import make_terrain


def cells_under(
    packed: PackedTerrains, ids: np.ndarray, points: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Touched cells of a character whose bodies are single points."""
    frames, count, _ = points.shape
    surface = SurfacePoints(points=torch.zeros(count, 3), body=torch.arange(count), counts=(1,) * count)
    still = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(frames, count, 4)
    return touched_cells(packed, torch.tensor(ids), torch.tensor(points), still, surface)


def test_touched_cells_are_those_under_the_points():
    rng = np.random.default_rng(0)
    terrains = [make_terrain((5, 9)), make_terrain((8, 4))]
    ids = rng.integers(2, size=300)
    points = rng.uniform(-1.5, 3.5, (300, 25, 3)).astype(np.float32)
    packed = PackedTerrains.of(terrains)
    cells, lowest = cells_under(packed, ids, points)
    rows = {tuple(row) for row in touched_rows(cells, 9).tolist()}
    expected, depth = set(), np.full((2, 8, 9), np.inf)
    for frame, (which, cloud) in enumerate(zip(ids, points)):  # one by one, by the terrain's own lookup
        for (i, j), z in zip(terrains[which].cell_of(cloud[:, :2]).tolist(), cloud[:, 2]):
            expected.add((frame, i, j))
            depth[which, i, j] = min(depth[which, i, j], z)
    assert rows == expected
    assert np.array_equal(lowest.numpy().reshape(2, 8, 9), depth.astype(np.float32))


def test_rows_are_sorted_and_distinct():
    packed = PackedTerrains.of([make_terrain((6, 6))])
    points = np.random.default_rng(1).uniform(0, 2, (7, 50, 3)).astype(np.float32)
    cells, _ = cells_under(packed, np.zeros(7, dtype=np.int64), points)
    rows = touched_rows(cells, 6).tolist()
    assert [tuple(row) for row in rows] == sorted(set(map(tuple, rows)))


def test_bounds_of_touched_jumped_and_free_cells():
    terrain = make_terrain((3, 1), steps=[((2, 0), -1.0)])
    lowest = torch.tensor([[0.1, 1.0, torch.inf]])  # stood on; 1 m below the body; under nobody
    low, high = height_bounds(PackedTerrains.of([terrain]), lowest, torch.tensor([1.2]))[0].unbind(-1)
    # free: 3 m below the lowest cell to 3 m above the root; jumped: up to 0.8 m under the body
    assert torch.allclose(low, torch.tensor([0.0, -4.0, -4.0]))
    assert torch.allclose(high, torch.tensor([0.0, 0.2, 4.2]))
