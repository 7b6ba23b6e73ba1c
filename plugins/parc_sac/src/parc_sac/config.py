"""Settings of the agent."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import setting
from parc_core.errors import ConfigError
from parc_sac.presets import LAPTOP, LAPTOP_FINE_TUNING, TINY

__all__ = ["ModelConfig", "OptimizerConfig", "SacConfig"]


@attrs.frozen(kw_only=True)
class ModelConfig:
    """Actor and two critics: perceptrons with layer normalization and SiLU after every hidden layer."""

    actor_units: tuple[int, ...] = setting(
        (512, 256, 128), ge=1, le=65536, help="Widths of the actor's hidden layers."
    )
    critic_units: tuple[int, ...] = setting(
        (768, 384, 192), ge=1, le=65536, help="Widths of the hidden layers of each critic."
    )
    critic_action_scale: float = setting(
        1.0,
        ge=1e-6,
        le=1e6,
        help="Critics see the normalized action times this. Beside hundreds of observations an action of a small "
        "spread is hardly noticed.",
    )
    num_atoms: int = setting(
        101, ge=2, le=100_000, help="Number of values over which a critic gives a distribution of returns."
    )
    squash: bool = setting(
        True, help="Squash actions into their range with tanh; false: Gaussian actions without bounds."
    )
    actor_init_output_scale: float = setting(
        0.01,
        ge=0.0,
        le=100,
        help="Initial weights of the actor's output layer are the usual ones times this.",
    )

    def __attrs_post_init__(self) -> None:
        for name in ("actor_units", "critic_units"):
            if not getattr(self, name):
                raise ConfigError(
                    f"agent.model.{name} is empty, expected the width of at least one hidden layer, e.g. [256, 256]"
                )


@attrs.frozen(kw_only=True)
class OptimizerConfig:
    """AdamW for actor and critics, Adam for the temperature."""

    learning_rate: float = setting(
        3e-4, ge=1e-12, le=1e6, help="Learning rate of actor and critics at the start of the training."
    )
    alpha_learning_rate: float = setting(
        3e-4, ge=1e-12, le=1e6, help="Learning rate of the logarithm of the temperature; it does not decay."
    )
    final_fraction: float = setting(
        1.0,
        ge=0.0,
        le=1.0,
        help="Learning rate at max_samples as a fraction of the initial one; it decays linearly.",
    )
    weight_decay: float = setting(
        1e-3, ge=0.0, le=10, help="Decoupled weight decay of actor and critics (AdamW)."
    )


@attrs.frozen(kw_only=True)
class SacConfig:
    """Soft actor-critic with distributional critics.

    Source: Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications"; the defaults are those of FastSAC,
    Seo et al. 2025, "Learning Sim-to-Real Humanoid Locomotion in 15 Minutes", arXiv 2512.01996, for thousands of
    environments on a GPU. Presets: `laptop` what was measured to work on two cores, `laptop_fine_tuning` the same for
    training on from a policy, `tiny` for tests.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "laptop": LAPTOP,
        "laptop_fine_tuning": LAPTOP_FINE_TUNING,
        "tiny": TINY,
    }

    max_samples: int = setting(
        100_000_000,
        ge=1,
        le=1_000_000_000_000_000,
        extends=True,
        help="Length of the training: control steps, summed over all environments.",
        unit="samples",
    )
    steps_per_iter: int = setting(
        1, ge=1, le=10000, help="Control steps of every environment per iteration, before its gradient steps."
    )
    updates_per_iter: int = setting(8, ge=1, le=100_000, help="Gradient steps of the critics per iteration.")
    batch_size: int = setting(
        8192,
        ge=1,
        le=10_000_000,
        help="Size of a batch, drawn from the replay for one gradient step.",
        unit="samples",
    )
    overlap: bool = setting(
        False,
        help="Collect the next steps while the networks learn. The policy that collects is then one iteration old.",
    )
    replay_size: int = setting(
        4_194_304,
        ge=2,
        le=10_000_000_000,
        help="Capacity of the replay, which forgets the oldest. One sample takes two bytes for each number of the "
        "observation and of the action, and six more; checkpoints hold the whole replay.",
        unit="samples",
    )
    learning_starts: int = setting(
        4096,
        ge=0,
        le=1_000_000_000,
        help="Samples that are collected before the first gradient step.",
        unit="samples",
    )
    actor_starts: int = setting(
        0,
        ge=0,
        le=1_000_000_000_000,
        help="Samples before the actor learns; until then only the critics do. For training on from a policy whose "
        "critics do not know the task yet.",
        unit="samples",
    )
    discount: float = setting(0.97, ge=0.0, lt=1.0, help="Discount factor per control step (gamma).")
    n_steps: int = setting(1, ge=1, le=1000, help="Number of observed rewards in a return (n-step returns).")
    tau: float = setting(
        0.125,
        gt=0.0,
        le=1.0,
        help="Target critics move by this share toward the critics after each gradient step.",
    )
    policy_delay: int = setting(
        4,
        ge=1,
        le=10000,
        help="The actor and the temperature learn at every k-th gradient step of the critics.",
    )
    target_values: Literal["mean", "min"] = setting(
        "mean",
        help="Which of two critics gives targets and the actor's gradient: the mean of both, or for each sample the "
        "one with the smaller value (clipped double critics).",
    )
    bootstrap_timeout: bool = setting(
        True, help="The return of an episode that ran out of time includes the value of its last state."
    )
    bootstrap_success: bool = setting(
        True,
        help="The return of an episode that reached the end of its motion includes the value of its last state; false: "
        "that value counts as 0, as after a fall.",
    )
    reward_bounds: Literal["auto"] | tuple[float, float] = setting(
        "auto",
        ge=-1e9,
        le=1e9,
        help="Lowest and highest reward of a step. They bound the values that a critic can tell apart. auto: the range "
        "that the environment declares.",
    )
    target_std: float = setting(
        0.24,
        ge=1e-4,
        le=10,
        help="The temperature is adapted until the entropy of the actions is that of a normal distribution with this "
        "standard deviation in every dimension (0.242: entropy 0).",
        unit="half range",
    )
    init_alpha: float = setting(
        0.001, ge=1e-9, le=1e6, help="Initial temperature (alpha), the weight of the entropy."
    )
    max_grad_norm: float = setting(
        10.0, ge=1e-9, le=1e9, help="Gradients of the actor, and of the critics, are clipped to this L2 norm."
    )
    obs_clip: float = setting(5.0, ge=1e-9, le=1e6, help="Normalized observations are clipped to +- this.")
    normalizer_samples: int = setting(
        100_000_000,
        ge=0,
        le=1_000_000_000_000_000,
        help="Samples after which the mean and standard deviation of the observation normalizer stay fixed. "
        "Training on from a policy never changes them.",
        unit="samples",
    )
    iters_per_output: int = setting(
        10, ge=1, le=1_000_000_000, help="Metrics are written every this many iterations."
    )
    iters_per_checkpoint: int = setting(
        500,
        ge=1,
        le=1_000_000_000,
        help="A checkpoint is written every this many iterations. All episodes restart at a checkpoint, so that a "
        "resumed training equals an uninterrupted one.",
    )
    eval_every_iters: int = setting(
        0,
        ge=0,
        le=1_000_000_000,
        help="An evaluation follows every motion with mean actions; it takes place every this many iterations. 0: "
        "only after the training.",
    )
    eval_start_fractions: tuple[float, ...] = setting(
        (0.0,),
        ge=0,
        lt=1,
        help="Where in a motion evaluations start, as fractions of its length (0: its first frame).",
    )
    eval_survival_frames: int = setting(
        0,
        ge=0,
        le=1_000_000,
        help="Evaluations also start at every k-th frame of each motion and measure the share of starts from which "
        "its end is reached. 0: they do not.",
        unit="frames",
    )
    eval_perturbed: int = setting(
        0,
        ge=0,
        le=1000,
        help="Evaluations also start this many times per motion from a perturbed first frame. 0: they do not.",
    )
    average_decay: float = setting(
        0.0,
        ge=0.0,
        lt=1.0,
        help="Decay per iteration of an exponential moving average (EMA) of the actor's weights. The EMA policy is "
        "what is evaluated and saved. 0: no EMA, the trained weights themselves.",
    )
    select: Literal["last", "best"] = setting(
        "last", help="Policy that is saved at the end: the last one, or the one with the best evaluation."
    )
    logged_motions: int = setting(
        40,
        ge=0,
        le=100000,
        help="Number of motions, those with the highest fail rates, whose rates are written one by one.",
    )
    model: ModelConfig = setting(factory=ModelConfig, help="Actor and critics.")
    optimizer: OptimizerConfig = setting(factory=OptimizerConfig, help="Optimizers and learning rates.")
