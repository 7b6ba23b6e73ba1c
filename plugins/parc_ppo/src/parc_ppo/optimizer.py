"""The optimizer by configuration, and its learning rate."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from parc_ppo.config import OptimizerConfig

__all__ = ["adapted_factor", "make_optimizer", "set_learning_rate"]

_STEP, _MAX_FACTOR = 1.5, 100.0  # of the KL-adaptive factor of the learning rate


def make_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam or SGD over the trainable parameters, fused into one kernel."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    if config.type == "adam":
        return torch.optim.Adam(trainable, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(trainable, lr=rate, momentum=config.momentum, weight_decay=decay, fused=True)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, progress: float, factor: float = 1.0
) -> float:
    """Set the learning rate and return it: linear decay over `progress` (0..1 of the training), times `factor`."""
    rate = factor * config.learning_rate * (1.0 - (1.0 - config.final_fraction) * min(progress, 1.0))
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def adapted_factor(factor: float, kl: float, target: float | None) -> float:
    """The KL-adaptive factor of the learning rate after an update that changed the policy by `kl`.

    Divided by 1.5 above twice the target, multiplied by 1.5 below half of it; 0.01 to 100.

    Source: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", section 4, which adapts the penalty
    coefficient by this rule; rsl_rl (schedule "adaptive") applies it to the learning rate.
    """
    if target is None:
        return factor
    if kl > 2.0 * target:
        factor /= _STEP
    elif kl < 0.5 * target:
        factor *= _STEP
    return min(max(factor, 1.0 / _MAX_FACTOR), _MAX_FACTOR)
