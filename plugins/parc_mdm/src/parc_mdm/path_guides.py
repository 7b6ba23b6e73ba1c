"""Following several paths at once, each over its own terrain, with some candidates on each."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from parc_mdm.path_guide import PathGuide
from parc_motion.terrains import Path

__all__ = ["PathGuides"]


@attrs.frozen(kw_only=True, eq=False)
class PathGuides:
    """Stands in for a `PathGuide` where candidates differ in their paths: first those of the first path, and so on."""

    guides: tuple[PathGuide, ...]
    each: int  # candidates of a path

    @staticmethod
    def of(paths: Sequence[Path], each: int, device: str | torch.device = "cpu") -> PathGuides:
        """The guides of G paths for G * `each` candidates."""
        return PathGuides(guides=tuple(PathGuide.of(path, device) for path in paths), each=each)

    @property
    def points(self) -> Tensor:
        """First point of every candidate's path, ``[1, N, 3]`` m."""
        return self._spread([guide.points[0] for guide in self.guides])[None]

    @property
    def goal(self) -> Tensor:
        """Last point of every candidate's path, ``[N, 1, 3]`` m."""
        return self._spread([guide.goal for guide in self.guides])[:, None]

    def terrain_ids(self, count: int) -> Tensor:
        """The terrain of each of `count` candidates, ``[count]`` int64."""
        assert count == self.each * len(self.guides)
        return torch.arange(len(self.guides), device=self.guides[0].points.device).repeat_interleave(
            self.each
        )

    def advance(self, progress: Tensor, xy: Tensor, window: float) -> Tensor:
        """As `PathGuide.advance`, each candidate on its path: ``[N]`` m."""
        parts = zip(self.guides, progress.split(self.each), xy.split(self.each))
        return torch.cat([guide.advance(p, q, window) for guide, p, q in parts])

    def target(self, progress: Tensor, num_nodes: int, limit: float | None) -> Tensor:
        """As `PathGuide.target`, each candidate on its path: ``[N, 2]`` m."""
        parts = zip(self.guides, progress.split(self.each))
        return torch.cat([guide.target(p, num_nodes, limit) for guide, p in parts])

    def _spread(self, values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values)).repeat_interleave(self.each, dim=0)
