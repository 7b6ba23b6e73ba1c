"""Settings of the optimizer."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from parc_core.config import setting
from parc_kinopt.contacts import ContactConfig
from parc_kinopt.hesitation import HesitationConfig

__all__ = ["KinoptConfig", "NoneConfig", "WeightConfig"]


@attrs.frozen(kw_only=True)
class WeightConfig:
    """Weight of each term of the loss; 0 leaves a term out."""

    root_pos: float = setting(1.0, ge=0.0, help="squared distance of the root from the source, per m^2")
    root_rot: float = setting(10.0, ge=0.0, help="squared angle of the root from the source, per rad^2")
    joint_rot: float = setting(1.0, ge=0.0, help="squared angles of the joints from the source, per rad^2")
    smoothness: float = setting(
        10.0, ge=0.0, help="squared difference of the bodies' velocities from the source's"
    )
    penetration: float = setting(1000.0, ge=0.0, help="depth of surface points inside the ground, per m")
    contact: float = setting(1000.0, ge=0.0, help="distance of bodies in contact from the ground, per m")
    sliding: float = setting(10.0, ge=0.0, help="change of movement of bodies in contact")
    body_constraint: float = setting(
        1000.0, ge=0.0, help="distance of held feet and hands from their points, per m"
    )
    jerk: float = setting(1000.0, ge=0.0, help="third difference of body positions above the limit, per m")
    joint_limit: float = setting(100.0, ge=0.0, help="joint coordinates beyond their limits, per rad")
    foot_lock: float = setting(
        300.0,
        ge=0.0,
        help="movement of standing sole corners and their distance from the ground's height, per m",
    )
    steadiness: float = setting(
        1e4,
        ge=0.0,
        help="squared difference of the center of mass' acceleration from the source's with contact, per m^2",
    )
    ballistic: float = setting(
        1e5,
        ge=0.0,
        help="squared difference from free fall of the center of mass between two contacts, per m^2; flights that "
        "reach the first or last frame of a clip are left alone, because nobody knows how they began or end",
    )


def _strict() -> ContactConfig:
    return ContactConfig(on_distance=0.015, off_distance=0.025, on_speed=0.12, off_speed=0.3)


@attrs.frozen(kw_only=True)
class KinoptConfig:
    """Hesitation removal, then optimization of whole clips, many at a time.

    The jerk limit is not the published 1000 m/s^3. There jitter is kept down by it; here the source is low-passed
    first, and feet stand still, so that all of a stride falls to the swing. Measured on spoilt runs: with a limit of
    500 the swing becomes too short and the root ends 0.2 m away; with 1500 it stays within 3 cm of the true motion.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        # the published objective, solved to the end; its hesitation rule ran afterwards, here it runs before
        "paper": {
            "hesitation": {"rule": "pose_distance", "blend": 0.0},
            "weights": {"joint_limit": 0.0, "foot_lock": 0.0, "steadiness": 0.0, "ballistic": 0.0},
            "jerk_limit": 1000.0,
            "source_cutoff": 0.0,
            "clean_contacts": False,
            "relabel_contacts": False,
            "last_width": 1e-5,
            "tolerance": 1e-4,
        },
    }

    hesitation: HesitationConfig = setting(factory=HesitationConfig, help="what is cut before optimization")
    weights: WeightConfig = setting(factory=WeightConfig, help="of the loss terms")
    contacts: ContactConfig = setting(
        factory=ContactConfig,
        help="when feet and hands of the source count as standing (it may jitter and slide)",
    )
    relabel: ContactConfig = setting(
        factory=_strict, help="when those of the result do (there, what stands, stands)"
    )
    clean_contacts: bool = setting(
        True, help="correct the given contact labels by geometry before optimization"
    )
    relabel_contacts: bool = setting(
        True, help="label contacts of feet and hands anew by geometry afterwards"
    )
    body_constraints: bool = setting(True, help="hold feet and hands at one place during each contact")
    constraint_threshold: float = setting(
        0.9, gt=0.0, lt=1.0, help="label above which a frame belongs to a constraint"
    )
    jerk_limit: float = setting(1500.0, gt=0.0, unit="m/s^3", help="body jerk that costs nothing")
    source_cutoff: float = setting(
        5.0,
        ge=0.0,
        unit="Hz",
        help="faster movement of the source counts as noise and is not followed; 0 follows all",
    )
    min_flight: float = setting(
        0.1, ge=0.0, unit="s", help="shorter times without contact need not be free fall"
    )
    max_flight: float = setting(0.9, ge=0.0, unit="s", help="longer ones neither: there a label is missing")
    first_width: float = setting(
        0.3, gt=0.0, unit="m", help="rounding of the non-smooth terms in the first stage"
    )
    last_width: float = setting(1e-3, gt=0.0, unit="m", help="and in the last")
    width_factor: float = setting(0.3, gt=0.0, lt=1.0, help="from each stage to the next")
    tolerance: float = setting(
        1e-3, gt=0.0, help="a stage ends when a step lowers the loss by a smaller share"
    )
    max_steps: int = setting(200, ge=1, help="steps at most, per clip")
    firmness: float = setting(
        0.3,
        gt=0.0,
        le=1.0,
        help="share of slope / size that counts as curvature of a straight non-smooth term",
    )
    threads: int = setting(0, ge=0, help="clips that are optimized at once; 0: one on every core")
    batch_frames: int = setting(
        2000, ge=1, unit="frames", help="clips are optimized together up to this many frames"
    )


@attrs.frozen(kw_only=True)
class NoneConfig:
    """Clips as they are; nothing to set."""
