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

    root_pos: float = setting(
        1.0,
        ge=0.0,
        le=1e9,
        help="Weight of the squared distance between the root and its source position, per m^2.",
    )
    root_rot: float = setting(
        10.0,
        ge=0.0,
        le=1e9,
        help="Weight of the squared angle between the root's rotation and its source, per rad^2.",
    )
    joint_rot: float = setting(
        1.0,
        ge=0.0,
        le=1e9,
        help="Weight of the squared angles between joint rotations and their sources, per rad^2.",
    )
    smoothness: float = setting(
        10.0,
        ge=0.0,
        le=1e9,
        help="Weight of the squared difference between body velocities and those of the source.",
    )
    penetration: float = setting(
        1000.0, ge=0.0, le=1e9, help="Weight of the penetration depth of the body's surface points, per m."
    )
    contact: float = setting(
        1000.0,
        ge=0.0,
        le=1e9,
        help="Weight of the distance between the ground and bodies labeled as in contact, per m.",
    )
    sliding: float = setting(
        10.0, ge=0.0, le=1e9, help="Weight of the sliding of bodies labeled as in contact."
    )
    body_constraint: float = setting(
        1000.0,
        ge=0.0,
        le=1e9,
        help="Weight of the distance between feet or hands and the points they are constrained to, per m.",
    )
    jerk: float = setting(
        1000.0,
        ge=0.0,
        le=1e9,
        help="Weight of body jerk above `jerk_limit` (third difference of positions), per m.",
    )
    joint_limit: float = setting(
        100.0, ge=0.0, le=1e9, help="Weight of joint coordinates beyond their limits, per rad."
    )
    foot_lock: float = setting(
        300.0,
        ge=0.0,
        le=1e9,
        help="Weight of the movement of standing sole corners and of their distance to the ground, per m.",
    )
    steadiness: float = setting(
        1e4,
        ge=0.0,
        le=1e9,
        help="Weight of the squared difference between the center of mass's acceleration and the "
        "source's, in frames with contact, per m^2.",
    )
    ballistic: float = setting(
        1e5,
        ge=0.0,
        le=1e9,
        help="Weight of the squared deviation of the center of mass from free fall between two "
        "contacts, per m^2. Flights that reach the first or last frame of a clip are ignored,"
        " because their take-off or landing is unknown.",
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

    hesitation: HesitationConfig = setting(
        factory=HesitationConfig,
        help="Removal of frames in which the character hesitates, before the optimization.",
    )
    weights: WeightConfig = setting(factory=WeightConfig, help="Weights of the loss terms.")
    contacts: ContactConfig = setting(
        factory=ContactConfig,
        help="Contact detection on the source motion, which may jitter and slide.",
    )
    relabel: ContactConfig = setting(
        factory=_strict,
        help="Contact detection on the optimized motion, in which standing feet do not slide.",
    )
    clean_contacts: bool = setting(
        True, help="Correct the source's contact labels by distance and speed before the optimization."
    )
    relabel_contacts: bool = setting(
        True, help="Recompute the contact labels of feet and hands after the optimization."
    )
    body_constraints: bool = setting(
        True, help="Constrain feet and hands to a fixed point during each contact."
    )
    constraint_threshold: float = setting(
        0.9, ge=1e-9, lt=1.0, help="Contact label above which a frame belongs to a contact constraint."
    )
    jerk_limit: float = setting(
        1500.0, ge=1e-9, le=1e9, unit="m/s^3", help="Body jerk below this limit is not penalized."
    )
    source_cutoff: float = setting(
        5.0,
        ge=0.0,
        le=10000,
        unit="Hz",
        help="Low-pass cutoff frequency of the source motion; 0 turns the filter off.",
    )
    min_flight: float = setting(
        0.1, ge=0.0, le=100, unit="s", help="Shortest time without contact that is treated as a flight."
    )
    max_flight: float = setting(
        0.9,
        ge=0.0,
        le=100,
        unit="s",
        help="Longest time without contact that is treated as a flight; longer gaps are taken for "
        "missing labels.",
    )
    first_width: float = setting(
        0.3,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Width of the Huber function of non-smooth terms in the first stage.",
    )
    last_width: float = setting(
        1e-3,
        ge=1e-6,
        le=1000,
        unit="m",
        help="Width of the Huber function of non-smooth terms in the last stage.",
    )
    width_factor: float = setting(
        0.3, ge=1e-9, le=0.9, help="Factor on the Huber width from each stage to the next."
    )
    tolerance: float = setting(
        1e-3, ge=1e-12, le=1e6, help="Relative decrease of the loss per step below which a stage ends."
    )
    max_steps: int = setting(200, ge=1, le=1_000_000, help="Maximum number of steps per clip.")
    firmness: float = setting(
        0.3,
        ge=1e-9,
        le=1.0,
        help="Curvature assumed for the linear part of a Huber function, as a fraction of slope / residual.",
    )
    threads: int = setting(0, ge=0, le=4096, help="Number of clips optimized in parallel; 0 uses every core.")
    batch_frames: int = setting(
        2000, ge=1, le=1_000_000, unit="frames", help="Maximum number of frames per batch of clips."
    )


@attrs.frozen(kw_only=True)
class NoneConfig:
    """Clips as they are; nothing to set."""
