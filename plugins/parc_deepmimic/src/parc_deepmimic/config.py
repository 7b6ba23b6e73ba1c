"""Settings of the imitation task and of the agents that do not learn."""

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

_MAX_POINTS = 16_384  # of the ground, in one observation


@attrs.frozen(kw_only=True)
class ObservationConfig:
    """What the agent observes. The default is the published observation: 1312 numbers for the humanoid."""

    own_state: bool = setting(
        True, help="Observe the character's own pose, velocities, hands and feet (normalized)."
    )
    targets: bool = setting(
        True, help="Observe poses and positions of the reference at the target steps (normalized)."
    )
    pose: Literal["rot6d", "dof"] = setting(
        "rot6d",
        help="Form of joint rotations. rot6d: two axes of each rotation matrix. dof: scalar joint coordinates.",
    )
    target_steps: tuple[int, ...] = setting(
        (1, 2, 3, 10, 20, 30), ge=1, le=10_000, help="Control steps ahead at which the reference is observed."
    )
    target_difference: bool = setting(
        False, help="Observe target poses as differences to the own pose; only with pose: dof."
    )
    target_contacts: bool = setting(
        True, help="Observe the contact labels of the reference at the target steps (not normalized)."
    )
    contacts: bool = setting(True, help="Observe which bodies touch the ground (not normalized).")
    differences: bool = setting(
        False,
        help="Observe the reference of the present instant minus the own state, velocities included (normalized).",
    )
    root_height: bool = setting(
        False, help="Add the height of the root above the ground below it to the own state."
    )
    terrain: Literal["rays", "grid", "none"] = setting(
        "rays", help="Points at which ground heights are observed (not normalized)."
    )
    num_rays: int = setting(
        7, ge=1, le=1000, help="Number of rays, evenly distributed over -45 to 45 degrees of the heading."
    )
    ray_start: float = setting(
        -0.1, ge=-1000, le=1000, help="Distance of a ray's first point from the root.", unit="m"
    )
    ray_end: float = setting(
        3.0, ge=-1000, le=1000, help="Distance of a ray's last point from the root.", unit="m"
    )
    ray_spacing: float = setting(0.05, ge=0.001, le=1000, help="Distance between points of a ray.", unit="m")
    grid_behind: int = setting(2, ge=0, le=100, help="Number of grid points behind the root.")
    grid_ahead: int = setting(4, ge=0, le=100, help="Number of grid points ahead of the root.")
    grid_side: int = setting(2, ge=0, le=100, help="Number of grid points to each side of the root.")
    grid_spacing: float = setting(0.3, ge=0.001, le=1000, help="Distance between grid points.", unit="m")
    height_clip: float = setting(
        3.0,
        ge=0.001,
        le=1000,
        help="Ground heights relative to the root are clipped to this absolute value.",
        unit="m",
    )
    terms: dict[str, Use] = setting(
        kind="observation_term",
        factory=dict,
        help="Further observation groups by name, appended in the order given.",
    )

    def __attrs_post_init__(self) -> None:
        if not self.target_steps:
            raise ValueError("target_steps is empty; give control steps ahead, each at least 1")
        if self.target_difference and self.pose != "dof":
            raise ValueError(
                "target_difference: differences of rotation axes mean nothing; set `pose: dof` (it is "
                f"'{self.pose}') or `target_difference: false`"
            )
        if self.num_points > _MAX_POINTS:
            names = "num_rays, ray_start, ray_end and ray_spacing"
            if self.terrain == "grid":
                names = "grid_behind, grid_ahead and grid_side"
            raise ValueError(
                f"{names} make {self.num_points:,} points of the ground; at most {_MAX_POINTS:,} are observed"
            )
        if self.terrain == "rays" and self.ray_end < self.ray_start:
            raise ValueError(
                f"ray_end {self.ray_end:g} m is before ray_start {self.ray_start:g} m. Exchange the two"
            )
        shown = (self.own_state, self.targets, self.target_contacts, self.contacts, self.differences)
        if not any(shown) and self.terrain == "none" and not self.terms:
            raise ValueError("every group is switched off; an agent needs something to see")

    @property
    def num_points(self) -> int:
        """Number of points at which ground heights are observed."""
        if self.terrain == "rays":
            return self.num_rays * (round((self.ray_end - self.ray_start) / self.ray_spacing) + 1)
        if self.terrain == "grid":
            return (self.grid_behind + 1 + self.grid_ahead) * (2 * self.grid_side + 1)
        return 0


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
        5.0, ge=-1e9, le=1e9, help="Factor of the published contact term; only used with contact: published."
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
        ge=1e-9,
        le=1000,
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
        0.01, ge=1e-9, le=1, help="Lower bound of a motion's fail rate in its sampling weight."
    )
    fail_rate_decay: float = setting(
        0.99, ge=1e-9, lt=1, help="Decay of the moving average of a motion's fail rate, per finished episode."
    )
    sampling: Literal["failure", "uniform", "first"] = setting(
        "failure",
        help="Start frames within a motion. failure: frames from which episodes fail are more likely. uniform: all "
        "frames are equally likely. first: always the first frame.",
    )
    bin_frames: int = setting(
        10, ge=1, le=1_000_000, help="Number of neighboring start frames that share a fail rate (a bin)."
    )
    bin_floor: float = setting(
        0.1, ge=1e-9, le=1e6, help="Added to the fail rate of a bin in its sampling weight."
    )
    bin_decay: float = setting(
        0.95, ge=1e-9, lt=1, help="Decay of the moving average of a bin's fail rate, per finished episode."
    )
    first_frame_frac: float = setting(
        0.1, ge=0, le=1, help="Share of episodes that start at the first frame, whatever the sampling."
    )
    min_remaining_s: float = setting(
        0.2,
        ge=0,
        le=10000,
        help="Episodes start at least this long before the end of their motion.",
        unit="s",
    )
    perturbed_frac: float = setting(0.5, ge=0, le=1, help="Share of episodes that start with noise.")
    perturbed_when_mastered: bool = setting(
        False,
        help="Multiply perturbed_frac by the success rate of the start's bin, so that noise is added where a motion is "
        "mastered.",
    )
    joint_noise: float = setting(
        0.05, ge=0, le=1000, help="Standard deviation of the noise per joint axis.", unit="rad"
    )
    dof_vel_noise: float = setting(
        0.5, ge=0, le=1e6, help="Standard deviation of the noise of joint velocities.", unit="rad/s"
    )
    root_rot_noise: float = setting(
        0.02,
        ge=0,
        le=1000,
        help="Standard deviation of the noise of the root rotation, per axis.",
        unit="rad",
    )
    root_vel_noise: float = setting(
        0.1,
        ge=0,
        le=10000,
        help="Standard deviation of the noise of the root velocity, per axis.",
        unit="m/s",
    )
    root_ang_vel_noise: float = setting(
        0.2,
        ge=0,
        le=1e6,
        help="Standard deviation of the noise of the root's angular velocity, per axis.",
        unit="rad/s",
    )
    xy_offset: float = setting(
        0.0,
        ge=0,
        le=1000,
        help="Starts are shifted by up to this distance along x and along y, uniformly.",
        unit="m",
    )


@attrs.frozen(kw_only=True)
class VariantConfig:
    """Variants of a motion's terrain: boxes where the motion leaves room for them."""

    per_motion: int = setting(
        1,
        ge=1,
        le=1000,
        help="Number of terrains per motion in training, its own included. Playbacks use its own only.",
    )
    boxes: int = setting(4, ge=0, le=1000, help="Largest number of boxes that a variant adds.")
    largest_cells: int = setting(12, ge=1, le=1000, help="Largest side of a box.", unit="cells")
    change: float = setting(
        1.0, ge=0, le=1000, help="Largest height by which a box raises or lowers the ground.", unit="m"
    )


@attrs.frozen(kw_only=True)
class DeepMimicConfig:
    """The imitation task.

    `preset: cpu` has a small observation (391 numbers for the humanoid) for training within minutes; `preset: paper` is
    the published implementation where it differs from the defaults.
    """

    control_hz: float = setting(30.0, ge=0.1, le=10000, help="Control steps per second.", unit="Hz")
    episode_length_s: float = setting(10.0, ge=0.001, le=86400, help="Longest training episode.", unit="s")
    action_mode: Literal["residual", "absolute"] = setting(
        "residual",
        help="residual: actions correct the reference's next pose. absolute: actions are the servo targets.",
    )
    action_scale: float = setting(
        0.3, ge=1e-6, le=1000, help="Correction that a residual action of 1 stands for.", unit="rad"
    )
    feed_forward_s: float = setting(
        0.03,
        ge=0,
        le=1,
        help="Residual actions correct the reference's next pose extrapolated by this time along its velocity, which "
        "compensates the lag of the servos.",
        unit="s",
    )
    contact_threshold: float = setting(
        1.0, ge=0, le=1e6, help="A body is in contact when the force on it is larger than this.", unit="N"
    )
    observation: ObservationConfig = setting(factory=ObservationConfig, help="What the agent observes.")
    reward: RewardConfig = setting(factory=RewardConfig, help="The reward.")
    termination: TerminationConfig = setting(factory=TerminationConfig, help="When an episode is lost.")
    start: StartConfig = setting(factory=StartConfig, help="Where training episodes start.")
    terrains: VariantConfig = setting(factory=VariantConfig, help="Variants of the motions' terrains.")

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
    """Agent `zero`, which has no settings."""


@attrs.frozen(kw_only=True)
class RandomConfig:
    """Agent `random`."""

    share: float = setting(
        0.3, ge=0, le=1000, help="Actions are uniform in this share of their range, around its middle."
    )
    seed: int = setting(0, ge=0, le=2**63 - 1, help="Seed of the actions.")


@attrs.frozen(kw_only=True)
class ReferenceConfig:
    """Agent `reference`."""

    feed_forward_s: float = setting(
        0.03,
        ge=0,
        le=1,
        help="Targets are extrapolated by this time along the reference's velocity, which compensates the lag of the "
        "servos (a joint's damping divided by its stiffness).",
        unit="s",
    )
    lead_steps: float = setting(
        2.0, ge=0, le=1000, help="How far ahead the pose is that targets are set to.", unit="control steps"
    )


def _named(*names: str) -> dict[str, Use]:
    """The providers of these names with their default settings."""
    return {name: Use(name) for name in names}
