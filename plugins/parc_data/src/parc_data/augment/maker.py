"""Makes the variations of one clip in batches: sample, optimize, check, and sample again what was rejected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from parc_core.interfaces import Optimizer, Refined, SeedStreams
from parc_data.augment.config import AugmentConfig
from parc_data.augment.gate import Deviation, Gate, Refusal, deviation
from parc_data.augment.parameters import sample_parameters
from parc_data.augment.variation import Original, Variation, vary
from parc_data.tools.derive import derived
from parc_data.tools.preprocess import Preprocessor
from parc_motion.clips import MotionClip
from parc_motion.metrics import clip_metrics
from parc_motion.skeletons import Skeleton

__all__ = ["Made", "Maker", "batches"]

_FOOTINGS = 10  # samples until one has ground under every stance phase; they are cheap


@attrs.frozen(kw_only=True, eq=False)
class Made:
    """One variation, or the reasons why there is none."""

    number: int
    clip: MotionClip | None
    refusals: tuple[Refusal, ...]  # of the samples before
    details: dict[str, Any]  # parameters, losses and metrics before and after; empty without a clip


def batches(variations: int, size: int) -> list[range]:
    """Numbers of the variations of each batch."""
    return [range(first, min(first + size, variations)) for first in range(0, variations, size)]


class Maker:
    """Makes variations of one clip.

    Every sample has its own random stream, named by clip, number and try, and the batches are always the same, so equal
    seeds give equal clips, whatever was made before.

    Args:
        parent: digest of the clip.
        origin: notes for the provenance of every variation.
    """

    def __init__(
        self,
        clip: MotionClip,
        parent: str,
        *,
        skeleton: Skeleton,
        optimizer: Optimizer,
        config: AugmentConfig,
        seeds: SeedStreams,
        origin: dict[str, Any],
    ) -> None:
        self.original = Original.of(clip, skeleton)
        self.parent, self.skeleton, self.optimizer, self.config = parent, skeleton, optimizer, config
        self.seeds, self.origin = seeds.child("augment", clip=f"{clip.motion_class}/{clip.name}"), origin
        self.gate = Gate(skeleton, config.gate, clip)
        self.preprocess = Preprocessor(skeleton)

    def make(self, numbers: Iterable[int]) -> list[Made]:
        """One batch, in the given order."""
        refusals: dict[int, list[Refusal]] = {number: [] for number in numbers}
        made: dict[int, Made] = {}
        for attempt in range(self.config.tries):
            missing = [number for number in refusals if number not in made]
            sampled = {number: self._sample(number, attempt, refusals[number]) for number in missing}
            ready = {number: variation for number, variation in sampled.items() if variation is not None}
            if not ready:
                continue
            results = self.optimizer.refine([variation.clip for variation in ready.values()])
            for (number, variation), refined in zip(ready.items(), results, strict=True):
                left = deviation(variation.clip, refined, self.skeleton.key_bodies)
                refusal = self.gate.refusal(variation.clip, refined, left)
                if refusal is not None:
                    refusals[number].append(refusal)
                    continue
                details = self._details(variation, refined, left)
                clip = self._finished(variation, refined, details)
                made[number] = Made(
                    number=number, clip=clip, refusals=tuple(refusals[number]), details=details
                )
        return [
            made.get(number) or Made(number=number, clip=None, refusals=tuple(reasons), details={})
            for number, reasons in refusals.items()
        ]

    def _sample(self, number: int, attempt: int, refusals: list[Refusal]) -> Variation | None:
        name = f"{self.original.clip.name}_aug_{number}"
        for again in range(_FOOTINGS):
            rng = self.seeds.numpy("draw", variation=number, attempt=attempt, again=again)
            parameters = sample_parameters(self.config, self.original.clip, rng)
            if parameters is None:
                refusals.append(Refusal("bad_heights", "no allowed height was found in 100 samples"))
                continue
            variation = vary(self.original, parameters, self.config, name)
            refusal = self.gate.footing(variation.footing)
            if refusal is None:
                return variation
            refusals.append(refusal)
        return None

    def _details(self, variation: Variation, refined: Refined, left: Deviation) -> dict[str, Any]:
        return {
            "parameters": variation.parameters.as_json(),
            "footing": variation.footing,
            "losses_before": refined.before,
            "losses_after": refined.after,
            "metrics_before": clip_metrics(variation.clip, self.skeleton),
            "metrics_after": clip_metrics(refined.clip, self.skeleton),
            "deviation": attrs.asdict(left),
            "unresolved": list(refined.unresolved),
        }

    def _finished(self, variation: Variation, refined: Refined, details: dict[str, Any]) -> MotionClip:
        notes = {"augment": details["parameters"], **self.origin}
        clip = derived(self.preprocess(refined.clip), "augment", self.parent, **notes)
        provenance = attrs.evolve(clip.provenance, seed=self.seeds.seed, scores=details["metrics_after"])
        return attrs.evolve(clip, name=variation.clip.name, provenance=provenance)
