"""Motion source `procedural`."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.errors import ConfigError
from parc_core.interfaces import MotionSource, SeedStreams
from parc_data.procedural.posture import body_of
from parc_data.procedural.recipes import CLASSES, plans
from parc_data.procedural.synthesis import synthesize
from parc_motion.clips import MotionClip
from parc_motion.skeletons import Skeleton

__all__ = ["ProceduralConfig", "ProceduralSource"]


@attrs.frozen(kw_only=True)
class ProceduralConfig:
    """Settings of `procedural`."""

    classes: tuple[str, ...] = setting(CLASSES, help=f"which motions: any of {', '.join(CLASSES)}")
    variations: int = setting(
        1, ge=1, le=100, help="clips of each motion; the first is plain, the others vary"
    )


class ProceduralSource(MotionSource):
    """Walks, runs, turns, stairs, boxes and gaps made from footsteps, with the ground that they need."""

    def __init__(self, config: ProceduralConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        unknown = [name for name in config.classes if name not in CLASSES]
        if unknown or not config.classes:
            raise ConfigError(
                f"procedural: classes are {list(config.classes)}, expected some of {', '.join(CLASSES)}."
            )
        self.config, self.skeleton, self.seeds = config, skeleton, seeds
        self.body = body_of(skeleton)

    def clips(self) -> Iterator[MotionClip]:
        """The clips, class after class."""
        for plan in plans(self.config.classes, self.config.variations, self._rng):
            clip = synthesize(plan, self.body, self.skeleton)
            yield attrs.evolve(clip, provenance=attrs.evolve(clip.provenance, seed=self.seeds.seed))

    def _rng(self, name: str, variation: int) -> np.random.Generator:
        return self.seeds.numpy(name, variation=variation)
