"""Motion source `augmented`: another source's clips, and variations of each."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import attrs

from parc_core.config import Use, setting
from parc_core.interfaces import MotionSource, Optimizer, SeedStreams
from parc_data.augment.config import AugmentConfig
from parc_data.augment.maker import Maker, batches
from parc_motion.clips import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.storage import digest_bytes

__all__ = ["AugmentedConfig", "AugmentedSource"]

log = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class AugmentedConfig(AugmentConfig):
    """Settings of `augmented`."""

    source: Use = setting(kind="motion_source", help="Motion source whose clips are varied.")
    optimizer: Use = setting(
        factory=lambda: Use("kinopt"),
        kind="optimizer",
        help="Optimizer that fits the variations to their terrain.",
    )
    variations: int = setting(
        50, ge=1, le=10_000, help="Variations of each clip; fewer if not enough pass the quality checks."
    )
    keep: bool = setting(True, help="Also yield the source clips themselves.")


class AugmentedSource(MotionSource):
    """Clips of another source, each followed by its variations, as `parc data augment` makes them."""

    def __init__(self, config: AugmentedConfig, *, skeleton: Skeleton, seeds: SeedStreams) -> None:
        self.config, self.skeleton, self.seeds = config, skeleton, seeds
        self.source: MotionSource = config.source.create(skeleton=skeleton, seeds=seeds.child("source"))
        self.optimizer: Optimizer = config.optimizer.create(skeleton=skeleton, device="cpu")
        self._weights: dict[str, float] = {}

    def clips(self) -> Iterator[MotionClip]:
        """The clips; those with too few variations are named in the log."""
        for original in self.source.clips():
            weight = self.source.weight_of(original)
            for clip in [original] if self.config.keep else []:
                self._weights[clip.name] = weight
                yield clip
            for clip in self._variations(original):
                self._weights[clip.name] = weight
                yield clip

    def weight_of(self, clip: MotionClip) -> float:
        """The weight that the source gives the clip, or the one that it is a variation of."""
        return self._weights[clip.name]

    def _variations(self, clip: MotionClip) -> Iterator[MotionClip]:
        maker = Maker(
            clip,
            _digest(clip),
            skeleton=self.skeleton,
            optimizer=self.optimizer,
            config=self.config,
            seeds=self.seeds,
            origin={"optimizer": self.config.optimizer.name},
        )
        kept = 0
        for batch in batches(self.config.variations, self.config.batch):
            for made in maker.make(batch):
                if made.clip is not None:
                    kept += 1
                    yield made.clip
        if kept < self.config.variations:
            log.warning(
                "%s: only %d of %d variations are good enough", clip.name, kept, self.config.variations
            )


def _digest(clip: MotionClip) -> str:
    """SHA-256 of what the clip holds; it need not be a file yet."""
    arrays = (clip.root_pos, clip.root_rot, clip.joint_rot, clip.contacts)
    ground = () if clip.terrain is None else (clip.terrain.height, clip.terrain.origin_xy)
    return digest_bytes(b"".join([clip.name.encode(), *(array.tobytes() for array in (*arrays, *ground))]))
