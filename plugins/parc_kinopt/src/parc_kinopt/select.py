"""Selectors: `heuristic` scores candidates; `first` and `random` show what that is worth."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from parc_core.config import setting
from parc_core.interfaces import Scored, Selector
from parc_kinopt.limbs import limbs_of
from parc_kinopt.score import CandidateScorer, Raw
from parc_motion.clips import MotionClip
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Path, Terrain

__all__ = [
    "FirstConfig",
    "FirstSelector",
    "HeuristicConfig",
    "HeuristicSelector",
    "RandomConfig",
    "RandomSelector",
]


@attrs.frozen(kw_only=True)
class HeuristicConfig:
    """Weights, thresholds and the end of the path.

    Scores are weight times measure. With ``normalize: frame`` contact and penetration are means per frame, so that a
    long motion does not lose for being long; the published ones are sums.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "normalize": "sum",
            "min_label": 0.0,
            "w_contact": 0.1,
            "w_penetration": 0.1,
            "w_path": 0.0,
            "w_roughness": 0.0,
            "w_jerk": 0.0,
            "w_slide": 0.0,
            "w_progress": 0.0,
            "max_contact": 3.0,
            "max_penetration": 8.0,
            "max_path": None,
            "max_jerk": None,
            "max_total": 30.0,
            "unfinished_penalty": 100.0,
        },
    }

    normalize: Literal["frame", "sum"] = setting(
        "frame", help="Aggregation of contact and penetration over frames."
    )
    min_label: float = setting(0.2, ge=0.0, lt=1.0, help="Contact labels below this count as no contact.")
    w_contact: float = setting(
        10.0, ge=0.0, le=1e9, help="Weight of the distance between the ground and bodies in contact, per m."
    )
    w_penetration: float = setting(
        2.0, ge=0.0, le=1e9, help="Weight of the penetration depth, summed over surface points, per m."
    )
    w_path: float = setting(
        1.0, ge=0.0, le=1e9, help="Weight of the mean distance between the root and the path, per m."
    )
    w_roughness: float = setting(
        2.0, ge=0.0, le=1e9, help="Weight of the change of root velocity between frames, per m/s."
    )
    w_jerk: float = setting(
        1.0, ge=0.0, le=1e9, help="Weight of the fraction of frames with jerk above `jerk_limit`."
    )
    w_slide: float = setting(1.0, ge=0.0, le=1e9, help="Weight of the speed of feet in contact, per m/s.")
    w_progress: float = setting(
        1.0, ge=0.0, le=1e9, help="Weight of the length of path that the root did not reach, per m."
    )
    jerk_limit: float = setting(
        11666.0, ge=1e-9, le=1e9, unit="m/s^3", help="Body jerk above which a frame counts as jerky."
    )
    goal_radius: float = setting(
        0.5,
        ge=1e-6,
        le=1e6,
        unit="m",
        help="Distance between a foot and the end of the path at which a candidate has finished.",
    )
    unfinished_penalty: float = setting(
        100.0, ge=0.0, le=1e9, help="Penalty added to the total score of a candidate that did not finish."
    )
    max_contact: float | None = setting(
        2.0, ge=0.0, le=1e9, help="Candidates with a higher contact score are rejected; none: no limit."
    )
    max_penetration: float | None = setting(
        3.0, ge=0.0, le=1e9, help="Candidates with a higher penetration score are rejected; none: no limit."
    )
    max_path: float | None = setting(
        1.0, ge=0.0, le=1e9, help="Candidates with a higher path score are rejected; none: no limit."
    )
    max_jerk: float | None = setting(
        0.5, ge=0.0, le=1e9, help="Candidates with a higher jerk score are rejected; none: no limit."
    )
    max_total: float | None = setting(
        30.0, ge=0.0, le=1e9, help="Candidates with a higher total score are rejected; none: no limit."
    )


class HeuristicSelector(Selector):
    """Contact, penetration, path, smoothness and progress."""

    def __init__(self, config: HeuristicConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config = config
        self._measure = CandidateScorer(skeleton, limbs_of(skeleton))

    def select(self, candidates: Sequence[MotionClip], terrain: Terrain, path: Path) -> list[Scored]:
        """Every candidate once: accepted first, best first; equal totals keep their order."""
        if not candidates:
            return []
        raw = self._measure(candidates, terrain, path, self.config.jerk_limit, self.config.min_label)
        scored = [self._judge(clip, one) for clip, one in zip(candidates, raw)]
        return sorted(scored, key=lambda s: (not s.accepted, s.total))

    def _judge(self, clip: MotionClip, raw: Raw) -> Scored:
        config = self.config
        share = clip.num_frames if config.normalize == "frame" else 1
        measures = {
            "contact": raw.contact / share,
            "penetration": raw.penetration / share,
            "path": raw.path,
            "roughness": raw.roughness,
            "jerk": raw.jerk,
            "slide": raw.slide,
            "progress": raw.progress,
        }
        scores = {name: getattr(config, f"w_{name}") * value for name, value in measures.items()}
        goal = raw.goal
        finished = goal < config.goal_radius
        scores["unfinished"] = 0.0 if finished else config.unfinished_penalty
        total = sum(scores.values())
        limits = {name: getattr(config, f"max_{name}") for name in ("contact", "penetration", "path", "jerk")}
        reasons = [
            f"{k} {scores[k]:.2f} > {limit:g}" for k, limit in limits.items() if _beyond(scores[k], limit)
        ]
        if not finished and _beyond(total, config.max_total):
            reasons.append(f"goal {goal:.2f} m away > {config.goal_radius:g} m")
        elif _beyond(total, config.max_total):
            reasons.append(f"total {total:.2f} > {config.max_total:g}")
        return Scored(clip=clip, total=total, scores=scores, rejected=tuple(reasons))


def _beyond(score: float, limit: float | None) -> bool:
    # the published thresholds are strict: a score equal to its limit is refused
    return limit is not None and not score < limit


@attrs.frozen(kw_only=True)
class FirstConfig:
    """Candidates in the order they came; nothing to set."""


class FirstSelector(Selector):
    """Accepts every candidate, the first one first: the baseline that shows what selection is worth."""

    def __init__(self, config: FirstConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config = config

    def select(self, candidates: Sequence[MotionClip], terrain: Terrain, path: Path) -> list[Scored]:
        """Every candidate, accepted, in the given order; its total is its place."""
        return [Scored(clip=clip, total=float(i), scores={}) for i, clip in enumerate(candidates)]


@attrs.frozen(kw_only=True)
class RandomConfig:
    """Candidates in random order."""

    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of the random order.")


class RandomSelector(Selector):
    """Accepts every candidate, in an order that depends on nothing but the seed and the candidates themselves.

    The same candidates come in the same order in every run; those of another motion in another.
    """

    def __init__(self, config: RandomConfig, *, skeleton: Skeleton, device: str = "cpu") -> None:
        self.config = config

    def select(self, candidates: Sequence[MotionClip], terrain: Terrain, path: Path) -> list[Scored]:
        """Every candidate, accepted; its total is its place in the order."""
        digest = hashlib.sha256()
        for clip in candidates:
            digest.update(clip.root_pos.tobytes())
        words = np.frombuffer(digest.digest(), np.uint32).tolist()
        order = np.random.default_rng([self.config.seed, *words]).permutation(len(candidates))
        return [Scored(clip=candidates[i], total=float(k), scores={}) for k, i in enumerate(order)]
