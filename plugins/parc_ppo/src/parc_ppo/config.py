"""Settings of the agents. Names and defaults follow PARC's documents."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import Use, setting
from parc_core.errors import ConfigError
from parc_ppo.net_names import Activation, check_short_name, named_network
from parc_ppo.presets import LAPTOP, LAPTOP_FINE_TUNING, PAPER, TINY

__all__ = ["DmPpoConfig", "ModelConfig", "OptimizerConfig", "PpoConfig"]


@attrs.frozen(kw_only=True)
class ModelConfig:
    """Actor and critic, two separate networks.

    A short name stands for a built-in network: ``mlp_512_512`` is a perceptron with two hidden layers of 512 units;
    ``cnn_mlp_512_512`` and ``vit_512_512`` are the same perceptron with a convolutional or transformer encoder of the
    terrain. Any other network is chosen by class, ``{use: my_nets.py:MyNet, units: 256}``; see
    `parc_core.interfaces.PolicyNetwork`.
    """

    actor_net: str | Use = setting(
        "mlp_512_512",
        kind="policy_network",
        help="Network of the actor: mlp_, cnn_mlp_ or vit_ and the widths of the hidden layers (mlp_512_512), or a "
        "policy network with its settings ({use: my_nets.py:MyNet, units: 256}).",
    )
    critic_net: str | Use = setting(
        "mlp_512_512", kind="policy_network", help="Network of the critic, given like actor_net."
    )
    terrain_units: int = setting(
        64,
        ge=1,
        le=65536,
        help="Size of the terrain's embedding in networks given as cnn_mlp_... or vit_....",
        unit="units",
    )
    activation: Activation = setting(
        "relu", help="Activation function of the hidden layers of networks given by a short name."
    )
    actor_init_output_scale: float = setting(
        0.01,
        ge=1e-9,
        le=100,
        help="Initial weights of the actor's output layer are uniform between minus this and this.",
    )
    actor_std_type: Literal["FIXED", "CONST", "VARIABLE"] = setting(
        "CONST",
        help="Standard deviation of the actions. FIXED: as configured; CONST: learned, the same in all states; "
        "VARIABLE: an output of the actor, learned for each state.",
    )
    action_std: float = setting(
        0.2,
        ge=1e-9,
        le=1000,
        help="Standard deviation of the actions, relative to half their range; the initial one where it is learned.",
        unit="half range",
    )
    final_action_std: float | None = setting(
        None,
        ge=1e-9,
        le=1000,
        help="Standard deviation at max_samples with actor_std_type FIXED; it changes linearly from action_std. "
        "null: it is constant.",
        unit="half range",
    )

    def __attrs_post_init__(self) -> None:
        for net in (self.actor_net, self.critic_net):
            if isinstance(net, str):
                check_short_name(net)
                named_network(net, self.activation, self.terrain_units)
        if self.final_action_std is not None and self.actor_std_type != "FIXED":
            raise ConfigError(
                f"agent.model.final_action_std is {self.final_action_std:g}, but actor_std_type {self.actor_std_type} "
                "learns the standard deviation. Use actor_std_type FIXED, or final_action_std null."
            )
        if self.actor_std_type != "FIXED" and not -6.0 < math.log(self.action_std) < 2.0:
            raise ConfigError(
                f"agent.model.action_std is {self.action_std:g}; a learned standard deviation ({self.actor_std_type}) "
                "lies between 0.0025 and 7.38. Use a value in this range, or actor_std_type FIXED."
            )


@attrs.frozen(kw_only=True)
class OptimizerConfig:
    """Gradient descent for both networks together."""

    type: Literal["adam", "sgd"] = setting("adam", help="Optimizer: Adam, or SGD with momentum.")
    learning_rate: float = setting(5e-4, ge=1e-12, le=1e6, help="Learning rate at the start of the training.")
    final_fraction: float = setting(
        0.3,
        ge=0.0,
        le=1.0,
        help="Learning rate at max_samples as a fraction of the initial one; it decays linearly.",
    )
    kl_target: float | None = setting(
        None,
        ge=1e-9,
        le=1e6,
        help="Target KL divergence between the policies before and after an update. The learning rate is divided by "
        "1.5 after an update above twice the target and multiplied by 1.5 below half of it, within 0.01 to 100 times "
        "its schedule. null: the schedule alone.",
    )
    momentum: float = setting(0.9, ge=0.0, lt=1.0, help="Momentum of SGD; Adam does not use it.")
    weight_decay: float = setting(
        0.0, ge=0.0, le=10, help="L2 penalty on all weights (weight decay of the optimizer)."
    )


@attrs.frozen(kw_only=True)
class PpoConfig:
    """Proximal policy optimization.

    Source: PARC's documents for names and defaults. Presets: `paper` the implementation that `parc_motion.published`
    cites, `laptop` what was measured to work on two cores, `laptop_fine_tuning` the same for training on from a
    policy, `tiny` for tests; `cpu` and `cpu_fine_tuning` are earlier names of the laptop's.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": PAPER,
        "laptop": LAPTOP,
        "laptop_fine_tuning": LAPTOP_FINE_TUNING,
        "cpu": LAPTOP,
        "cpu_fine_tuning": LAPTOP_FINE_TUNING,
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
        16, ge=1, le=10000, help="Length of a rollout: control steps per environment between two updates."
    )
    overlap: bool = setting(
        False,
        help="Collect the next rollout while the networks learn from the last one. The policy that collects is then "
        "one update old.",
    )
    update_epochs: int = setting(5, ge=1, le=1000, help="Passes over the collected samples per update.")
    batch_size: int = setting(
        256, ge=1, le=10_000_000, help="Size of a mini-batch, one gradient step.", unit="samples"
    )
    discount: float = setting(0.95, ge=0.0, lt=1.0, help="Discount factor per control step (gamma).")
    td_lambda: float = setting(
        0.95,
        ge=0.0,
        le=1.0,
        help="Lambda of TD(lambda) returns and of generalized advantage estimation: 0 bootstraps from the critic "
        "after one step, 1 sums the observed rewards.",
    )
    bootstrap_timeout: bool = setting(
        True,
        help="The return of an episode that ran out of time includes the critic's value of its last state.",
    )
    bootstrap_success: bool = setting(
        True,
        help="The return of an episode that reached the end of its motion includes the critic's value of its last "
        "state; false: that value counts as 0, as after a fall.",
    )
    reward_bounds: Literal["auto"] | tuple[float, float] | None = setting(
        "auto",
        ge=-1e9,
        le=1e9,
        help="Lowest and highest reward of a step. The critic's values of next states are clamped to these bounds "
        "divided by (1 - discount). auto: the range that the environment declares, if it does; null: no clamping.",
    )
    ppo_clip_ratio: float = setting(
        0.2,
        ge=1e-9,
        le=1000,
        help="PPO clip range: probability ratios beyond 1 +- this give no further gain.",
    )
    norm_adv_clip: float = setting(5.0, ge=1e-9, le=1e6, help="Normalized advantages are clipped to +- this.")
    target_kl: float | None = setting(
        None,
        ge=1e-9,
        le=1e6,
        help="An update stops early after an epoch with a mean KL divergence above this. null: it never does.",
    )
    critic_loss_weight: float = setting(1.0, ge=0.0, le=1e9, help="Coefficient of the value loss.")
    critic_loss_type: Literal["L1", "L2"] = setting(
        "L2", help="Value loss: mean absolute (L1) or mean squared (L2) error."
    )
    critic_loss_gate: float | None = setting(
        None,
        ge=1e-9,
        le=1e9,
        help="Only the critic learns from mini-batches whose value loss is above this. null: the actor always learns.",
    )
    action_bound_weight: float = setting(
        0.0,
        ge=0.0,
        le=1e9,
        help="Coefficient of the penalty on mean actions outside their range (squared excess).",
    )
    action_entropy_weight: float = setting(0.0, ge=0.0, le=1e9, help="Entropy bonus coefficient.")
    action_reg_weight: float = setting(
        0.0, ge=0.0, le=1e9, help="Coefficient of the L2 penalty on mean actions."
    )
    exp_prob_beg: float = setting(
        1.0,
        ge=0.0,
        le=1.0,
        help="Probability, at the start of the training, that an action is sampled from the policy; otherwise the "
        "mean action is used.",
    )
    exp_prob_end: float = setting(
        0.1, ge=0.0, le=1.0, help="The same probability after exp_anneal_samples; it changes linearly."
    )
    exp_anneal_samples: float = setting(
        200e6,
        ge=1,
        le=1e15,
        help="Samples over which that probability changes from exp_prob_beg to exp_prob_end.",
        unit="samples",
    )
    clip_grad_norm: bool = setting(True, help="Clip gradients by their norm, see max_grad_norm.")
    max_grad_norm: float = setting(
        0.5, ge=1e-9, le=1e9, help="Gradients are clipped to this L2 norm, over all weights together."
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
    normalizer_warmup_steps: int = setting(
        0,
        ge=0,
        le=1_000_000_000,
        help="Control steps before the first update that only initialize the observation normalizer.",
    )
    iters_per_output: int = setting(
        10, ge=1, le=1_000_000_000, help="Metrics are written every this many iterations."
    )
    iters_per_checkpoint: int = setting(
        50,
        ge=1,
        le=1_000_000_000,
        help="A checkpoint is written every this many iterations. All episodes restart at a checkpoint, so that a "
        "resumed training equals an uninterrupted one.",
    )
    samples_per_checkpoint: int = setting(
        0,
        ge=0,
        le=1_000_000_000_000_000,
        help="A checkpoint is also written after every this many samples. 0: only by iters_per_checkpoint.",
        unit="samples",
    )
    test_episodes: int = setting(
        0,
        ge=0,
        le=100000,
        help="Episodes with mean actions, from starts as in training, that are measured whenever metrics are "
        "written. 0: none.",
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
        help="Decay per iteration of an exponential moving average (EMA) of the weights. The EMA policy is what is "
        "evaluated and saved. 0: no EMA, the trained weights themselves.",
    )
    select: Literal["last", "best"] = setting(
        "last", help="Policy that is saved at the end: the last one, or the one with the best evaluation."
    )
    model: ModelConfig = setting(factory=ModelConfig, help="Actor and critic.")
    optimizer: OptimizerConfig = setting(factory=OptimizerConfig, help="Optimizer and learning rate.")


@attrs.frozen(kw_only=True)
class DmPpoConfig(PpoConfig):
    """PPO that also reports tracking errors and the fail rate of each motion."""

    report_tracking_error: bool = setting(True, help="Write mean tracking errors with the metrics.")
    logged_motions: int = setting(
        40,
        ge=0,
        le=100000,
        help="Number of motions, those with the highest fail rates, whose rates are written one by one.",
    )
    record_extras: bool = setting(
        False,
        help="Keep additional data of every step of the last rollout, for inspection: time step, episode number, "
        "compute time, contact forces and environment number. Costs memory and one read of the simulator per step.",
    )

    def __attrs_post_init__(self) -> None:
        if self.record_extras and self.overlap:
            raise ConfigError(
                "agent.record_extras: the data belongs to one rollout, and with overlap two are collected at once. "
                "Set overlap: false."
            )
