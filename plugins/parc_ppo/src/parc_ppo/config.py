"""Settings of the agents. Names and defaults follow PARC's documents."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import setting
from parc_core.errors import ConfigError
from parc_ppo.net_names import parse_net

__all__ = ["DmPpoConfig", "ModelConfig", "OptimizerConfig", "PpoConfig"]


@attrs.frozen(kw_only=True)
class ModelConfig:
    """The networks: two separate ones, for the action and for the value.

    ``mlp_512_512`` is a perceptron with hidden layers of 512; ``cnn_mlp_512_512`` and ``vit_512_512`` are the same
    behind convolutions or a transformer that look at the terrain as a picture.
    """

    actor_net: str = setting(
        "mlp_512_512",
        help="network of the actor: mlp_, cnn_mlp_ or vit_ and <units>_<units>... of hidden layers",
    )
    critic_net: str = setting("mlp_512_512", help="network of the critic, the same way")
    terrain_units: int = setting(
        64, ge=1, help="cnn_mlp and vit: numbers that the terrain is summed up in", unit="units"
    )
    activation: Literal["relu", "elu", "tanh", "silu"] = setting("relu", help="between the layers")
    actor_init_output_scale: float = setting(
        0.01, gt=0.0, help="the actor's last weights start uniformly within this, either side of 0"
    )
    actor_std_type: Literal["FIXED", "CONST", "VARIABLE"] = setting(
        "CONST", help="spread of the actions: as given; learned, equal in all states; learned, by state"
    )
    action_std: float = setting(
        0.2, gt=0.0, help="spread of the actions, to begin with where it changes", unit="half range"
    )
    final_action_std: float | None = setting(
        None,
        gt=0.0,
        help="FIXED: the spread at max_samples, to which it falls linearly; null: it stays",
        unit="half range",
    )

    def __attrs_post_init__(self) -> None:
        for name in (self.actor_net, self.critic_net):
            parse_net(name)
        if self.final_action_std is not None and self.actor_std_type != "FIXED":
            raise ConfigError(
                f"agent.model.final_action_std is {self.final_action_std:g}, but actor_std_type {self.actor_std_type} "
                "learns the spread. Take actor_std_type FIXED, or final_action_std null."
            )
        if self.actor_std_type != "FIXED" and not -6.0 < math.log(self.action_std) < 2.0:
            raise ConfigError(
                f"agent.model.action_std is {self.action_std:g}; a learned spread ({self.actor_std_type}) lies between "
                "0.0025 and 7.38. Take one of those, or actor_std_type FIXED."
            )


@attrs.frozen(kw_only=True)
class OptimizerConfig:
    """The optimiser of both networks."""

    type: Literal["adam", "sgd"] = setting("adam", help="kind of gradient descent")
    learning_rate: float = setting(5e-4, gt=0.0, help="step size at the start")
    final_fraction: float = setting(
        0.3, ge=0.0, le=1.0, help="share of the step size left at max_samples; it falls linearly"
    )
    kl_target: float | None = setting(
        None,
        gt=0.0,
        help="the step size is divided by 1.5 after an update that moved further than twice this divergence, and "
        "multiplied by 1.5 after one that moved less than half of it, within 0.01 to 100 of its schedule; null: never",
    )
    momentum: float = setting(0.9, ge=0.0, lt=1.0, help="of sgd")
    weight_decay: float = setting(0.0, ge=0.0, help="pull of all weights towards 0")


_LAPTOP: dict[str, Any] = {
    "overlap": True,
    "steps_per_iter": 16,
    "update_epochs": 4,
    "batch_size": 512,
    "norm_adv_clip": 5.0,
    "max_grad_norm": 1.0,
    "obs_clip": 5.0,
    "exp_prob_end": 1.0,
    "max_samples": 1_000_000,
    "iters_per_output": 5,
    "iters_per_checkpoint": 50,
    "normalizer_warmup_steps": 16,
    "eval_every_iters": 50,
    "eval_survival_frames": 15,
    "eval_perturbed": 2,
    "average_decay": 0.95,
    "select": "best",
    "model": {
        "actor_net": "mlp_256_256",
        "critic_net": "mlp_256_256",
        "activation": "elu",
        "actor_std_type": "FIXED",
        "action_std": 0.25,
    },
    "optimizer": {"type": "adam", "learning_rate": 5e-4, "final_fraction": 0.3},
}

_FINE_TUNING: dict[str, Any] = {
    **_LAPTOP,
    "optimizer": {**_LAPTOP["optimizer"], "learning_rate": 2e-4},  # a good policy is easily spoilt
}

_PUBLISHED: dict[str, Any] = {
    "discount": 0.99,
    "steps_per_iter": 32,
    "batch_size": 8192,  # 4 per environment, 2048 environments
    "norm_adv_clip": 4.0,
    "critic_loss_weight": 10.0,
    "action_bound_weight": 10.0,
    "critic_loss_gate": 20.0,
    "exp_prob_end": 1.0,
    "max_grad_norm": 1000.0,
    "obs_clip": 10.0,
    "normalizer_samples": 300_000_000,
    "max_samples": 10_000_000_000,
    "iters_per_output": 100,
    "iters_per_checkpoint": 200,
    "test_episodes": 16,
    "bootstrap_success": False,
    "model": {
        "actor_net": "mlp_2048_1024_512",
        "critic_net": "mlp_2048_1024_512",
        "activation": "relu",
        "actor_std_type": "FIXED",
        "action_std": 0.05,
    },
    "optimizer": {"type": "sgd", "learning_rate": 5e-5, "final_fraction": 1.0, "momentum": 0.9},
}

_TINY: dict[str, Any] = {
    **_LAPTOP,
    "steps_per_iter": 8,
    "update_epochs": 2,
    "batch_size": 128,
    "max_samples": 1024,
    "iters_per_output": 2,
    "iters_per_checkpoint": 4,
    "normalizer_warmup_steps": 8,
    "eval_every_iters": 0,
    "eval_survival_frames": 0,
    "eval_perturbed": 0,
    "model": {**_LAPTOP["model"], "actor_net": "mlp_32_32", "critic_net": "mlp_32_32"},
}


@attrs.frozen(kw_only=True)
class PpoConfig:
    """Proximal policy optimisation.

    Source: PARC's documents for names and defaults. Presets: `paper` the published implementation, `laptop` what
    was measured to work on two cores, `laptop_fine_tuning` the same to go on from a policy, `tiny` for tests; `cpu`
    and `cpu_fine_tuning` are earlier names of the laptop's.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": _PUBLISHED,
        "laptop": _LAPTOP,
        "laptop_fine_tuning": _FINE_TUNING,
        "cpu": _LAPTOP,
        "cpu_fine_tuning": _FINE_TUNING,
        "tiny": _TINY,
    }

    max_samples: int = setting(
        100_000_000, ge=1, help="control steps of all environments together", unit="samples"
    )
    steps_per_iter: int = setting(16, ge=1, help="control steps of every environment between two updates")
    overlap: bool = setting(
        False,
        help="collect the next rollout while the networks learn from the last one: its policy is one update old",
    )
    update_epochs: int = setting(5, ge=1, help="passes over the collected samples per update")
    batch_size: int = setting(256, ge=1, help="samples per gradient step", unit="samples")
    discount: float = setting(0.95, ge=0.0, lt=1.0, help="worth of a reward one control step later")
    td_lambda: float = setting(
        0.95, ge=0.0, le=1.0, help="0: returns lean on the critic; 1: on the rewards seen"
    )
    bootstrap_timeout: bool = setting(
        True, help="an episode cut by time counts the critic's value of its end"
    )
    bootstrap_success: bool = setting(
        True, help="so does one that reached the end of its motion; else 0 as a fall"
    )
    reward_bounds: Literal["auto"] | tuple[float, float] | None = setting(
        "auto",
        help="range of the reward, which holds the critic's values in returns to it / (1 - discount); auto: what the "
        "environment says, if it does; null: values are not held",
    )
    ppo_clip_ratio: float = setting(0.2, gt=0.0, help="how far one update may move a probability")
    norm_adv_clip: float = setting(5.0, gt=0.0, help="normalised advantages are clipped here")
    target_kl: float | None = setting(
        None, gt=0.0, help="an update ends after the epoch that moves further than this"
    )
    critic_loss_weight: float = setting(1.0, ge=0.0, help="of the value error")
    critic_loss_type: Literal["L1", "L2"] = setting("L2", help="absolute or squared value error")
    critic_loss_gate: float | None = setting(
        None, gt=0.0, help="while the value error is above this, only the critic learns"
    )
    action_bound_weight: float = setting(
        0.0, ge=0.0, help="of the squared excess of mean actions beyond their range"
    )
    action_entropy_weight: float = setting(0.0, ge=0.0, help="of the reward for spread")
    action_reg_weight: float = setting(0.0, ge=0.0, help="of the squared mean actions")
    exp_prob_beg: float = setting(
        1.0, ge=0.0, le=1.0, help="share of actions drawn (not the mean) at the start"
    )
    exp_prob_end: float = setting(0.1, ge=0.0, le=1.0, help="the same after exp_anneal_samples")
    exp_anneal_samples: float = setting(
        200e6, gt=0.0, help="how long that share takes to change", unit="samples"
    )
    clip_grad_norm: bool = setting(True, help="limit the length of the gradient")
    max_grad_norm: float = setting(0.5, gt=0.0, help="to this")
    obs_clip: float = setting(5.0, gt=0.0, help="normalised observations are clipped here")
    normalizer_samples: int = setting(
        100_000_000, ge=0, help="observations that the normaliser learns from; it is frozen when fine-tuning"
    )
    normalizer_warmup_steps: int = setting(
        0, ge=0, help="control steps before the first update that only the normaliser learns from"
    )
    iters_per_output: int = setting(10, ge=1, help="metrics are written each so many iterations")
    iters_per_checkpoint: int = setting(
        50, ge=1, help="a checkpoint is written each so many iterations, and all episodes begin anew"
    )
    samples_per_checkpoint: int = setting(
        0, ge=0, help="also after the iteration that completes each so many samples; 0: no", unit="samples"
    )
    test_episodes: int = setting(
        0, ge=0, help="episodes from drawn starts, without noise, at each output; 0: none"
    )
    eval_every_iters: int = setting(
        0, ge=0, help="every motion is followed from its first frame; 0: only at the end"
    )
    eval_start_fractions: tuple[float, ...] = setting((0.0,), help="where in each motion evaluations start")
    eval_survival_frames: int = setting(
        0, ge=0, help="evaluations also start at every k-th frame of each motion; 0: they do not"
    )
    eval_perturbed: int = setting(
        0, ge=0, help="evaluations also start so often from the first frame of each motion with noise"
    )
    average_decay: float = setting(
        0.0,
        ge=0.0,
        lt=1.0,
        help="the policy that is evaluated and kept is a moving average of the learning one's weights, which keeps "
        "this share of itself at each iteration; 0: the learning one itself",
    )
    select: Literal["last", "best"] = setting(
        "last", help="the policy to keep: the last, or the best evaluated one"
    )
    model: ModelConfig = setting(factory=ModelConfig, help="the networks")
    optimizer: OptimizerConfig = setting(factory=OptimizerConfig, help="gradient descent")


@attrs.frozen(kw_only=True)
class DmPpoConfig(PpoConfig):
    """PPO with tracking errors and fail rates per motion."""

    report_tracking_error: bool = setting(True, help="write mean tracking errors with the metrics")
    logged_motions: int = setting(40, ge=0, help="worst motions whose fail rates are written one by one")
    record_extras: bool = setting(
        False,
        help="keep time, episode, computing time, contact forces and number of the environment with every step of the "
        "rollout, for people who look at it; costs memory and a reading of the simulator",
    )

    def __attrs_post_init__(self) -> None:
        if self.record_extras and self.overlap:
            raise ConfigError(
                "agent.record_extras: what it keeps belongs to one rollout, and with overlap there are two at once. "
                "Set overlap: false."
            )
