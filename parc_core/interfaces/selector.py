"""Kind `selector`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

from parc_motion.clips import MotionClip
from parc_motion.terrains import Path, Terrain

__all__ = ["Scored", "Selector"]


@attrs.frozen(kw_only=True)
class Scored:
    """A candidate and what the selector thought of it."""

    clip: MotionClip
    total: float  # lower is better
    scores: dict[str, float]  # per criterion
    rejected: tuple[str, ...] = ()  # reasons, e.g. ("penetration 9.1 > 8",); empty means accepted

    @property
    def accepted(self) -> bool:
        """Whether the candidate may go on."""
        return not self.rejected


class Selector(ABC):
    """Scores candidates and says which may go on.

    Made with ``target(config, skeleton=Skeleton, device=str)``.

    class First(Selector):
        def __init__(self, config, *, skeleton, device):
            pass

        def select(self, candidates, terrain, path):
            return [Scored(clip=clip, total=i, scores={}) for i, clip in enumerate(candidates)]
    """

    @abstractmethod
    def select(self, candidates: Sequence[MotionClip], terrain: Terrain, path: Path) -> list[Scored]:
        """Every candidate once: the accepted ones first, best first; then the rejected ones with their reasons."""
