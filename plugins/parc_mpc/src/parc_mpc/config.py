"""Settings of the planning agent."""

from __future__ import annotations

import attrs

from parc_core.config import setting

__all__ = ["CostConfig", "MpcConfig", "ladder"]


@attrs.frozen(kw_only=True)
class CostConfig:
    """Weights of the squared differences from the reference, each a mean over its bodies, joints or dofs."""

    body_pos: float = setting(20.0, ge=0, unit="1/m^2", help="positions of all bodies")
    root_pos: float = setting(30.0, ge=0, unit="1/m^2", help="position of the root")
    root_rot: float = setting(2.0, ge=0, unit="1/rad^2", help="rotation of the root")
    root_vel: float = setting(0.2, ge=0, unit="s^2/m^2", help="linear velocity of the root")
    root_ang_vel: float = setting(0.02, ge=0, unit="s^2/rad^2", help="angular velocity of the root")
    joint_rot: float = setting(1.0, ge=0, unit="1/rad^2", help="rotations of the joints")
    dof_vel: float = setting(0.005, ge=0, unit="s^2/rad^2", help="velocities of the joints")
    residual: float = setting(
        0.05, ge=0, unit="1/rad^2", help="how far the servo targets leave the reference"
    )


@attrs.frozen(kw_only=True)
class MpcConfig:
    """Sampling-based tracking: Gauss-Newton steps on a few knots of servo targets around the reference.

    Source of the defaults: measured on eight real motions (walks, kicks, a dance, a jump and climb) and on generated
    steps up. 32 samples over 14 steps follow the former as well, 16 samples lose some near their ends. With 2
    iterations in place of 4 a step up of a generated clip is passed with an error of 0.14 m in place of 0.07 m, for
    more time.
    """

    samples: int = setting(24, ge=2, help="candidate plans per environment and iteration")
    horizon: int = setting(16, ge=2, unit="control steps", help="how far a plan looks ahead")
    knots: int = setting(4, ge=2, help="points of a plan, linearly interpolated over the horizon")
    iterations: int = setting(
        4, ge=1, help="most improvements of a plan per control step; those after the first need a dear plan"
    )
    good_cost: float = setting(1.5, ge=0, help="a plan that costs no more is improved once per control step")
    first_iterations: int = setting(
        3, ge=1, help="improvements at the first step, when there is no earlier plan"
    )
    sigma: float = setting(0.05, gt=0, unit="rad", help="spread of the candidates around the earlier plan")
    damping: float = setting(
        0.05, gt=0, help="how little the best combination of candidates is trusted where it goes far"
    )
    feed_forward: float = setting(
        0.03, ge=0, unit="s", help="how far the servo targets run ahead of the reference"
    )
    seed: int = setting(0, ge=0, help="seed of the candidates; a playback always starts from it")
    max_attempts: int = setting(
        4, ge=1, le=4, help="steps of the ladder of settings for motions that were lost"
    )
    cost: CostConfig = setting(factory=CostConfig, help="weights of what a plan is judged by")


def ladder(config: MpcConfig) -> tuple[MpcConfig, ...]:
    """Settings to try one after the other on a motion that was lost: other luck, more samples, more foresight."""
    steps = (
        config,
        attrs.evolve(config, seed=config.seed + 1, samples=3 * config.samples // 2),
        attrs.evolve(config, seed=config.seed + 2, samples=2 * config.samples, horizon=config.horizon + 4),
        attrs.evolve(
            config,
            seed=config.seed + 3,
            samples=3 * config.samples,
            horizon=config.horizon + 8,
            knots=config.knots + 2,
        ),
    )
    return steps[: config.max_attempts]
