"""Settings of the planning agent."""

from __future__ import annotations

import attrs

from parc_core.config import setting

__all__ = ["CostConfig", "MpcConfig", "ladder"]


@attrs.frozen(kw_only=True)
class CostConfig:
    """Weights of the squared tracking errors in the cost of a plan, each averaged over bodies, joints or dofs."""

    body_pos: float = setting(
        20.0, ge=0, le=1e6, unit="1/m^2", help="Weight of the position error of all bodies."
    )
    root_pos: float = setting(
        30.0, ge=0, le=1e6, unit="1/m^2", help="Weight of the position error of the root."
    )
    root_rot: float = setting(
        2.0, ge=0, le=1e6, unit="1/rad^2", help="Weight of the rotation error of the root."
    )
    root_vel: float = setting(
        0.2, ge=0, le=1e6, unit="s^2/m^2", help="Weight of the velocity error of the root."
    )
    root_ang_vel: float = setting(
        0.02, ge=0, le=1e6, unit="s^2/rad^2", help="Weight of the angular velocity error of the root."
    )
    joint_rot: float = setting(
        1.0, ge=0, le=1e6, unit="1/rad^2", help="Weight of the rotation error of the joints."
    )
    dof_vel: float = setting(
        0.005, ge=0, le=1e6, unit="s^2/rad^2", help="Weight of the velocity error of the joints."
    )
    residual: float = setting(
        0.05,
        ge=0,
        le=1e6,
        unit="1/rad^2",
        help="Weight of the difference between servo targets and the reference pose.",
    )


@attrs.frozen(kw_only=True)
class MpcConfig:
    """Sampling-based tracking: Gauss-Newton steps on a few knots of servo targets around the reference.

    Source of the defaults: measured on eight real motions (walks, kicks, a dance, a jump and climb) and on generated
    steps up. 32 samples over 14 steps track the real motions equally well, 16 samples lose some near their ends. With 2
    iterations instead of 4 the error on a generated step up is 0.14 m instead of 0.07 m, and it takes more time.
    """

    samples: int = setting(24, ge=2, le=10000, help="Candidate plans per environment and iteration.")
    horizon: int = setting(16, ge=2, le=1000, unit="control steps", help="Length of a plan.")
    knots: int = setting(
        4, ge=2, le=1000, help="Knots of a plan: servo targets between them are interpolated linearly."
    )
    iterations: int = setting(
        4,
        ge=1,
        le=10000,
        help="Maximum number of Gauss-Newton iterations per control step; from the second on, only plans "
        "whose cost exceeds good_cost are improved.",
    )
    good_cost: float = setting(
        1.5, ge=0, le=1e9, help="Plans with at most this cost get one iteration per control step."
    )
    first_iterations: int = setting(
        3,
        ge=1,
        le=10000,
        help="Iterations at the first control step of a playback, which has no earlier plan to start from.",
    )
    sigma: float = setting(
        0.05,
        ge=1e-6,
        le=100,
        unit="rad",
        help="Standard deviation of the candidates around the previous plan.",
    )
    damping: float = setting(
        0.05,
        ge=1e-9,
        le=1e9,
        help="Levenberg-Marquardt damping of the Gauss-Newton step, relative to the mean squared change of the "
        "deviations.",
    )
    feed_forward: float = setting(
        0.03,
        ge=0,
        le=1,
        unit="s",
        help="Servo targets lead the reference pose by this time, to compensate for the lag of the servos.",
    )
    seed: int = setting(
        0,
        ge=0,
        le=2**63 - 1,
        help="Seed of the candidates. Every playback starts from it, so playbacks are repeatable.",
    )
    max_attempts: int = setting(
        4,
        ge=1,
        le=4,
        help="Number of settings to try on a motion that was lost: each uses more samples, later ones also a longer "
        "horizon.",
    )
    cost: CostConfig = setting(factory=CostConfig, help="Weights in the cost of a plan.")


def ladder(config: MpcConfig) -> tuple[MpcConfig, ...]:
    """Settings to try one after the other on a lost motion: another seed, more samples, a longer horizon."""
    steps = (
        config,
        _changed(config, seed=config.seed + 1, samples=3 * config.samples // 2),
        _changed(config, seed=config.seed + 2, samples=2 * config.samples, horizon=config.horizon + 4),
        _changed(
            config,
            seed=config.seed + 3,
            samples=3 * config.samples,
            horizon=config.horizon + 8,
            knots=config.knots + 2,
        ),
    )
    return steps[: config.max_attempts]


def reseeded(config: MpcConfig, number: int) -> MpcConfig:
    """The same settings with a number added to the seed."""
    return _changed(config, seed=config.seed + number)


def _changed(config: MpcConfig, **values: int) -> MpcConfig:
    """The settings with other values, none larger than a user may choose; seeds start again at 0."""
    most = {name: attrs.fields_dict(MpcConfig)[name].metadata["le"] for name in values}
    inside = {name: min(value, most[name]) for name, value in values.items()}
    return attrs.evolve(config, **{**inside, "seed": values["seed"] % (most["seed"] + 1)})
