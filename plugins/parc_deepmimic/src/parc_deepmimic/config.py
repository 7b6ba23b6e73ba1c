"""Settings of the imitation task; default values live here only."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import Use, setting

__all__ = [
    "DeepMimicConfig",
    "ObservationConfig",
    "RandomConfig",
    "ReferenceConfig",
    "RewardConfig",
    "StartConfig",
    "TerminationConfig",
    "VariantConfig",
    "ZeroConfig",
]


@attrs.frozen(kw_only=True)
class ObservationConfig:
    """What the agent sees. The default is the published observation: 1312 numbers for the humanoid."""

    own_state: bool = setting(
        True, help="show the character's own pose, velocities and key bodies (normalised)"
    )
    targets: bool = setting(
        True, help="show poses and places of the reference at the target steps (normalised)"
    )
    pose: Literal["rot6d", "dof"] = setting(
        "rot6d", help="joint rotations as two axes each, or as scalar coordinates"
    )
    target_steps: tuple[int, ...] = setting(
        (1, 2, 3, 10, 20, 30), help="control steps ahead at which the reference is shown"
    )
    target_difference: bool = setting(
        False, help="target poses as differences to the own pose (pose: dof only)"
    )
    target_contacts: bool = setting(
        True, help="show the reference's contact labels at the target steps (not normalised)"
    )
    contacts: bool = setting(True, help="show which bodies touch something (not normalised)")
    differences: bool = setting(
        False,
        help="show how far the reference of the same instant is off, velocities included (normalised by themselves)",
    )
    root_height: bool = setting(False, help="show the height of the root above the ground under it")
    terrain: Literal["rays", "grid", "none"] = setting(
        "rays", help="shape of the set of ground heights shown (not normalised)"
    )
    num_rays: int = setting(7, ge=1, help="rays, evenly spread over -45 to 45 degrees of the heading")
    ray_start: float = setting(-0.1, help="first point of a ray, seen from the root", unit="m")
    ray_end: float = setting(3.0, help="last point of a ray", unit="m")
    ray_spacing: float = setting(0.05, gt=0, help="distance of points along a ray", unit="m")
    grid_behind: int = setting(2, ge=0, help="grid points behind the root")
    grid_ahead: int = setting(4, ge=0, help="grid points ahead of the root")
    grid_side: int = setting(2, ge=0, help="grid points to each side of the root")
    grid_spacing: float = setting(0.3, gt=0, help="distance of grid points", unit="m")
    height_clip: float = setting(
        3.0, gt=0, help="heights are seen relative to the root and cut off here", unit="m"
    )
    terms: dict[str, Use] = setting(
        kind="observation_term",
        factory=dict,
        help="Further groups by name, appended behind the others in the order given.",
    )


@attrs.frozen(kw_only=True)
class RewardConfig:
    """The reward: the weighted mean of its terms."""

    terms: dict[str, Use] = setting(
        kind="reward_term",
        factory=lambda: _named("pose", "vel", "root", "root_vel", "key", "body_pos", "body_rot", "contact"),
        help="Reward terms by name. Their weights are divided by the sum of all weights; a term of weight 0 is not "
        "computed, null removes one.",
    )
    contact: Literal["bounded", "published"] = setting(
        "bounded",
        help="bounded: the term `contact` is the agreement of contacts, 0..1. published: the published contact term is "
        "added to the weighted mean instead, so that the reward leaves 0..1.",
    )
    published_contact_weight: float = setting(
        5.0, help="Factor of the published contact term; only used with contact: published."
    )

    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {
        "w_pose": "terms.pose.weight",
        "w_vel": "terms.vel.weight",
        "w_root": "terms.root.weight",
        "w_root_vel": "terms.root_vel.weight",
        "w_key": "terms.key.weight",
        "w_body_pos": "terms.body_pos.weight",
        "w_body_rot": "terms.body_rot.weight",
        "w_contact": "terms.contact.weight",
        "k_pose": "terms.pose.k",
        "k_vel": "terms.vel.k",
        "k_root": "terms.root.k",
        "k_root_rot": "terms.root.k_rot",
        "k_root_vel": "terms.root_vel.k",
        "k_root_ang_vel": "terms.root_vel.k_ang",
        "k_key": "terms.key.k",
        "k_body_pos": "terms.body_pos.k",
        "k_body_rot": "terms.body_rot.k",
        "joint_weights": ("terms.pose.joint_weights", "terms.vel.joint_weights"),
        "key_contact_weight": "terms.contact.key_weight",
    }


@attrs.frozen(kw_only=True)
class TerminationConfig:
    """When the reference is lost: where one of the terms holds."""

    terms: dict[str, Use] = setting(
        kind="termination_term",
        factory=lambda: _named("root", "body", "fall"),
        help="Termination terms by name; null removes one.",
    )
    training_share: float = setting(
        1.0,
        gt=0,
        help="Scale of the termination thresholds during training. Below 1, episodes that have drifted too far to "
        "recover end early; evaluation always uses 1.",
    )
    end_is_fail: bool = setting(
        False,
        help="Whether the end of a reference counts as a failure (value 0) in training, as published; otherwise it is "
        "a time-out, whose value is bootstrapped.",
    )

    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {
        "root_pos": "terms.root.max_pos",
        "root_rot": "terms.root.max_rot",
        "body_pos": "terms.body.max_pos",
        "body_pos_of": "terms.body.max_pos_of",
        "fall_bodies": "terms.fall.bodies",
    }


@attrs.frozen(kw_only=True)
class StartConfig:
    """Where training episodes start."""

    fail_rate_floor: float = setting(
        0.01, gt=0, le=1, help="fail rate that a mastered motion keeps in the weights"
    )
    fail_rate_decay: float = setting(0.99, gt=0, lt=1, help="share of a motion's fail rate kept per episode")
    sampling: Literal["failure", "uniform", "first"] = setting(
        "failure", help="start times: where episodes fail more often, evenly, or always the first frame"
    )
    bin_frames: int = setting(10, ge=1, help="start frames that share a failure rate")
    bin_floor: float = setting(0.1, gt=0, help="added to the failure rate of a bin in its weight")
    bin_decay: float = setting(0.95, gt=0, lt=1, help="share of a bin's failure rate kept per episode")
    first_frame_frac: float = setting(
        0.1, ge=0, le=1, help="share of episodes made to start at the first frame"
    )
    min_remaining_s: float = setting(
        0.2, ge=0, help="least time between a start and the end of the motion", unit="s"
    )
    perturbed_frac: float = setting(0.5, ge=0, le=1, help="share of episodes that start with noise")
    perturbed_when_mastered: bool = setting(
        False,
        help="that share times the success of episodes from the same bin: noise comes where a motion is mastered",
    )
    joint_noise: float = setting(0.05, ge=0, help="standard deviation per joint axis", unit="rad")
    dof_vel_noise: float = setting(0.5, ge=0, help="standard deviation of joint velocities", unit="rad/s")
    root_rot_noise: float = setting(
        0.02, ge=0, help="standard deviation of the root rotation per axis", unit="rad"
    )
    root_vel_noise: float = setting(
        0.1, ge=0, help="standard deviation of the root velocity per axis", unit="m/s"
    )
    root_ang_vel_noise: float = setting(0.2, ge=0, help="the same of its angular velocity", unit="rad/s")
    xy_offset: float = setting(0.0, ge=0, help="largest random shift of the start along x and y", unit="m")


@attrs.frozen(kw_only=True)
class VariantConfig:
    """Other terrains under the same motions: boxes where the motion leaves room for them."""

    per_motion: int = setting(
        1, ge=1, help="terrains of each motion that training draws from; 1: its own alone, as in playbacks"
    )
    boxes: int = setting(4, ge=0, help="most boxes by which a further terrain differs")
    largest_cells: int = setting(12, ge=1, help="longest side of a box", unit="cells")
    change: float = setting(1.0, ge=0, help="most that a box raises or lowers the ground", unit="m")


@attrs.frozen(kw_only=True)
class DeepMimicConfig:
    """The imitation task.

    `preset: cpu` makes the observation small (391 numbers for the humanoid) for training within minutes;
    `preset: paper` is the published implementation where it differs from the defaults.
    """

    control_hz: float = setting(30.0, gt=0, help="control steps per second", unit="Hz")
    episode_length_s: float = setting(10.0, gt=0, help="longest training episode", unit="s")
    action_mode: Literal["residual", "absolute"] = setting(
        "residual",
        help="residual: correction of the reference's next pose; absolute: servo targets themselves",
    )
    action_scale: float = setting(0.3, gt=0, help="residual: correction of an action of 1", unit="rad")
    feed_forward_s: float = setting(
        0.03, ge=0, help="residual: lag of the servos that targets make up for", unit="s"
    )
    contact_threshold: float = setting(1.0, ge=0, help="least force that counts as a contact", unit="N")
    observation: ObservationConfig = setting(factory=ObservationConfig, help="what the agent sees")
    reward: RewardConfig = setting(factory=RewardConfig, help="reward terms")
    termination: TerminationConfig = setting(factory=TerminationConfig, help="when an episode is lost")
    start: StartConfig = setting(factory=StartConfig, help="where training episodes start")
    terrains: VariantConfig = setting(factory=VariantConfig, help="further terrains under the same motions")

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "cpu": {
            "observation": {
                "pose": "dof",
                "target_steps": (1, 2, 5),
                "target_difference": True,
                "differences": True,
                "root_height": True,
                "terrain": "grid",
            },
            "reward": {"terms": {"body_pos": None, "body_rot": None}},
            "termination": {"training_share": 0.5},
            "start": {"perturbed_when_mastered": True, "joint_noise": 0.075},
        },
        "paper": {
            "action_mode": "absolute",
            "contact_threshold": 1e-5,
            "reward": {"contact": "published", "terms": {"body_pos": None, "body_rot": None}},
            "termination": {"end_is_fail": True},
            "start": {
                "sampling": "uniform",
                "first_frame_frac": 0.0,
                "perturbed_frac": 0.0,
                "xy_offset": 0.075,
            },
        },
    }


@attrs.frozen(kw_only=True)
class ZeroConfig:
    """Agent `zero`: nothing to set."""


@attrs.frozen(kw_only=True)
class RandomConfig:
    """Agent `random`."""

    share: float = setting(
        0.3, ge=0, help="share of the range of actions that is drawn from, about its middle"
    )
    seed: int = setting(0, ge=0, help="seed of the actions")


@attrs.frozen(kw_only=True)
class ReferenceConfig:
    """Agent `reference`."""

    feed_forward_s: float = setting(
        0.03, ge=0, help="lag of the servos that targets make up for: damping over gain of a joint", unit="s"
    )
    lead_steps: float = setting(
        2.0, ge=0, help="how far ahead of now the pose is that targets aim at", unit="control steps"
    )


def _named(*names: str) -> dict[str, Use]:
    """The providers of these names with their default settings."""
    return {name: Use(name) for name in names}
