"""Kind `optimizer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import attrs

from parc_motion.clips import MotionClip

__all__ = ["Optimizer", "Refined"]


@attrs.frozen(kw_only=True)
class Refined:
    """A clip after refinement."""

    clip: MotionClip
    before: dict[str, float]  # unweighted loss per term at the start
    after: dict[str, float]  # the same terms at the end
    unresolved: tuple[str, ...] = ()  # what could not be fixed, in words
    removed_frames: tuple[int, ...] = ()  # frames of the input that hesitation removal dropped


class Optimizer(ABC):
    """Makes clips easier to track: feet on the ground, nothing inside it, smooth.

    Made with ``target(config, skeleton=Skeleton, device=str)``.

    class Nothing(Optimizer):
        def __init__(self, config, *, skeleton, device):
            pass

        def refine(self, clips, report=None):
            return [Refined(clip=clip, before={}, after={}) for clip in clips]
    """

    @abstractmethod
    def refine(
        self, clips: Sequence[MotionClip], report: Callable[[float, float, str], None] | None = None
    ) -> list[Refined]:
        """Each clip refined, in the given order; clips may differ in length and terrain.

        Args:
            report: called with (done, total, note) now and then.
        """
