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

    num_envs: int = setting(256, ge=1, help="copies that step side by side while an agent trains")
    sim_hz: float = setting(
        120.0, gt=0, unit="Hz", help="physics steps per second; a multiple of the control rate"
    )
    kp_scale: float = setting(1.0, gt=0, help="factor on the character's servo gains")
    kd_scale: float = setting(0.3, ge=0, help="factor on the character's servo damping")
    force_limit_scale: float | None = setting(
        3.0,
        gt=0,
        help="limit of a servo's spring torque as a multiple of the joint's nominal torque; null: no limit",
    )
    ball_limit_scale: float = setting(
        1.2, gt=0, help="cone angle of a ball joint's limit as a multiple of its largest limit about one axis"
    )
    friction: float = setting(1.0, ge=0, help="sliding friction between the character and the ground")
    friction_cone: Literal["pyramidal", "elliptic"] = setting(
        "pyramidal",
        help="elliptic: friction is equal in all directions, as in nature; pyramidal: faster, and down to 0.7 of it "
        "between two edges of the pyramid",
    )
    self_collision: bool = setting(True, help="whether bodies that are not neighbors collide with each other")
    integrator: Literal["implicitfast", "euler"] = setting("implicitfast", help="time integration")
    dump_dir: str | None = setting(
        None, help="folder for the states of copies that diverge; null: a temporary one, named in the log"
    )


@attrs.frozen(kw_only=True)
class MujocoWarpConfig(MujocoConfig):
    """How the character is simulated on an NVIDIA GPU: the same physics, and how much memory it may take.

    Source of the buffers' defaults: the most that 256 violently falling humanoids on boxes were seen to need, and
    half as much again.
    """

    num_envs: int = setting(4096, ge=1, help="copies that step side by side while an agent trains")
    nconmax: int = setting(
        48, ge=1, help="contacts per copy that memory is held for; all copies share one store"
    )
    njmax: int = setting(
        160, ge=1, help="rows of contact, friction and limit constraints that one copy may have"
    )
    deterministic: bool = setting(
        False, help="whether a GPU gives the same bits in every run, which costs speed; a CPU always does"
    )
