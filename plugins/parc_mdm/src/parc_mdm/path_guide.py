"""Following a path: how far along each candidate is, and where it should head next."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_motion.terrains import Path

__all__ = ["PathGuide"]

_STEP = 0.05  # m between the points that progress is measured with


@attrs.frozen(kw_only=True, eq=False)
class PathGuide:
    """A path as closely spaced points with their distance along it; progress never goes back.

    Source: `parc_motion.published`, which targets the path point seven after the nearest of all points. Here the
    nearest is sought only ahead of the progress made, so that a path which crosses itself is followed in order, and
    the target may be limited in meters, as the spacing of points depends on the planner.
    """

    points: Tensor  # [P, 3] m
    distance: Tensor  # [P] m along the path in the plane
    node_distance: Tensor  # [n] m, of the path's own points
    goal: Tensor  # [3] m

    @staticmethod
    def of(path: Path, device: str | torch.device = "cpu") -> PathGuide:
        """The guide of a path."""
        steps = np.linalg.norm(np.diff(path.points[:, :2].astype(np.float64), axis=0), axis=-1)
        node = np.concatenate([[0.0], np.cumsum(steps)])
        distance = np.linspace(0.0, node[-1], int(np.ceil(node[-1] / _STEP)) + 1)
        points = np.stack([np.interp(distance, node, path.points[:, axis]) for axis in range(3)], axis=-1)

        def tensor(values: np.ndarray) -> Tensor:
            return torch.tensor(values, device=device, dtype=torch.float32)

        return PathGuide(
            points=tensor(points),
            distance=tensor(distance),
            node_distance=tensor(node),
            goal=tensor(path.points[-1]),
        )

    def terrain_ids(self, count: int) -> Tensor:
        """The terrain of each of `count` candidates, ``[count]`` int64: the one there is."""
        return torch.zeros(count, dtype=torch.long, device=self.points.device)

    def advance(self, progress: Tensor, xy: Tensor, window: float) -> Tensor:
        """Distance along the path of the point nearest to each root, within `window` m ahead of `progress`: ``[N]``."""
        away = (self.points[:, :2] - xy[:, None]).norm(dim=-1)
        ahead = (self.distance >= progress[:, None]) & (self.distance <= progress[:, None] + window)
        ahead[:, -1] |= ~ahead.any(dim=1)
        return self.distance[torch.where(ahead, away, torch.inf).argmin(dim=1)]

    def target(self, progress: Tensor, num_nodes: int, limit: float | None) -> Tensor:
        """Where to head: `num_nodes` path points after the progress made, at most `limit` m ahead; ``[N, 2]`` m."""
        passed = torch.searchsorted(self.node_distance, progress + 0.5 * _STEP) - 1
        there = self.node_distance[(passed + num_nodes).clamp_max(len(self.node_distance) - 1)]
        if limit is not None:
            there = torch.minimum(there, progress + limit)
        index = torch.searchsorted(self.distance, there.contiguous()).clamp_max(len(self.distance) - 1)
        return self.points[index, :2]
