"""Kind `generator`."""

from __future__ import annotations

import pathlib
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from parc_core.interfaces.context import StageContext
from parc_motion.clips import MotionClip, MotionDataset
from parc_motion.terrains import Path, Terrain

__all__ = ["Generator"]


class Generator(ABC):
    """Learns motions from a data set and proposes new ones along a path.

    Made with ``target(config, skeleton=Skeleton, device=str)``. Life: `fit` (or `restore`), `save`, then `propose`.
    """

    #: whether `fit` can be called in several processes at once, which train together; see `Parallel`
    data_parallel: ClassVar[bool] = False

    def prepare(self, dataset: MotionDataset, ctx: StageContext) -> None:
        """Make in `ctx.cache` what `fit` will read of this data set, so that it need not; by default nothing.

        Called by `parc setup`, on a machine that may have no GPU, with the device "cpu"; after `restore` where the
        training will continue from weights. Only `ctx.cache` may be written to.

        Raises:
            DataError: the same mistakes in the data set as in `fit`.
        """
        return

    @abstractmethod
    def fit(self, dataset: MotionDataset, ctx: StageContext) -> None:
        """Train. Continues exactly from the newest checkpoint in `ctx.checkpoints`, if there is one.

        When `restore` was called before, training continues from those weights (fine-tuning) with this
        configuration's settings; the normalization statistics stay those of the weights.

        Raises:
            DataError: no clip is long enough, or a clip has no terrain.
        """

    @abstractmethod
    def save(self, folder: pathlib.Path) -> None:
        """Write what `restore` needs: weights, statistics, and the configuration that shapes the network."""

    @abstractmethod
    def restore(self, folder: pathlib.Path) -> None:
        """Read what `save` wrote.

        Raises:
            DataError: nothing there, or it does not fit this generator or skeleton.
        """

    @abstractmethod
    def propose(self, terrain: Terrain, path: Path, count: int, rng: np.random.Generator) -> list[MotionClip]:
        """`count` candidate clips that follow the path over the terrain; all work is batched.

        Clips carry terrain and path, contact labels in 0..1, and in ``provenance.notes["reached_goal"]`` whether the
        end of the path was reached.
        """
