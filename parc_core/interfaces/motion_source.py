"""Kind `motion_source`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from parc_motion.clips import MotionClip

__all__ = ["MotionSource"]


class MotionSource(ABC):
    """Gives clips to the data set of a run.

    Made with ``target(config, skeleton=Skeleton, seeds=SeedStreams)``.

    class OneClip(MotionSource):
        def __init__(self, config, *, skeleton, seeds):
            self.path = config.path

        def clips(self):
            yield load_clip(self.path)
    """

    @abstractmethod
    def clips(self) -> Iterator[MotionClip]:
        """The clips, in an order that never changes, with terrain attached and names that are unique within it.

        Raises:
            DataError: a file cannot be used; the text names it.
        """

    def weight_of(self, clip: MotionClip) -> float:
        """Sampling weight of a clip that `clips` has given, relative to the others; 0 or more.

        It multiplies what the iteration file's `balance` gives the clip.
        """
        return 1.0
