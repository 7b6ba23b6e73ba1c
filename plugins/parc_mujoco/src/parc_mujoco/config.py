"""Settings of the MuJoCo simulators; light enough to load for a schema."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import setting

__all__ = ["MujocoConfig", "MujocoWarpConfig"]


@attrs.frozen(kw_only=True)
class MujocoConfig:
    """How the character is simulated.

    Source of the defaults: measured on the published motions. The damping of the servos sits in the joints,
    where it is integrated implicitly; their spring alone is limited, to three times the nominal torque. A third
    of the character's own damping lets the servos follow fast motion.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"paper": {"kd_scale": 1.0}}

    num_envs: int = setting(256, ge=1, le=1_000_000, help="Number of parallel environments during training.")
    sim_hz: float = setting(
        120.0, ge=1, le=100000, unit="Hz", help="Physics steps per second; a multiple of the control rate."
    )
    kp_scale: float = setting(1.0, ge=1e-6, le=1000, help="Scale of the character's servo gains (kp).")
    kd_scale: float = setting(0.3, ge=0, le=1000, help="Scale of the character's servo damping (kd).")
    force_limit_scale: float | None = setting(
        3.0,
        ge=1e-9,
        le=1e6,
        help="Limit of a servo's spring torque, as a multiple of the joint's nominal torque; null: no limit.",
    )
    ball_limit_scale: float = setting(
        1.2,
        ge=1e-9,
        le=1000,
        help="Cone angle of a ball joint's limit, as a multiple of its largest limit about one axis.",
    )
    friction: float = setting(
        1.0, ge=0, le=1000, help="Sliding friction coefficient between the character and the ground."
    )
    friction_cone: Literal["pyramidal", "elliptic"] = setting(
        "pyramidal",
        help="Friction cone. elliptic: equal friction in all directions. pyramidal: faster, with "
        "friction down to 0.7 of the coefficient between two edges of the pyramid.",
    )
    self_collision: bool = setting(
        True, help="Whether bodies of the character collide with each other, neighbors excepted."
    )
    integrator: Literal["implicitfast", "euler"] = setting("implicitfast", help="Time integrator of MuJoCo.")
    dump_dir: str | None = setting(
        None,
        help="Folder for the last steps of environments that diverge, which `parc debug` replays. null: the folder "
        "dumps of the run, and none outside of a run.",
    )


@attrs.frozen(kw_only=True)
class MujocoWarpConfig(MujocoConfig):
    """How the character is simulated on an NVIDIA GPU: the same physics, and how much memory it may take.

    Source of the buffers' defaults: the most that 256 violently falling humanoids on boxes were seen to need, and
    half as much again.
    """

    num_envs: int = setting(4096, ge=1, le=1_000_000, help="Number of parallel environments during training.")
    nconmax: int = setting(
        48,
        ge=1,
        le=10000,
        help="Contacts per environment that memory is allocated for; all environments share the buffer.",
    )
    njmax: int = setting(
        160,
        ge=1,
        le=100000,
        help="Maximum number of constraint rows (contacts, friction, limits) per environment.",
    )
    deterministic: bool = setting(
        False,
        help="Whether results on a GPU are bitwise reproducible, which is slower; results on a CPU"
        " always are.",
    )
