"""The optimiser by configuration, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from parc_ppo.config import OptimizerConfig

__all__ = ["adapted_factor", "load_optimizer", "make_optimizer", "optimizer_tensors", "set_learning_rate"]

_STEP, _MOST = 1.5, 100.0  # of the factor that follows the divergence of updates


def make_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam or SGD over the parameters that learn; one fused kernel for all of them."""
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    if config.type == "adam":
        return torch.optim.Adam(learning, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(learning, lr=rate, momentum=config.momentum, weight_decay=decay, fused=True)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, progress: float, factor: float = 1.0
) -> float:
    """Set the step size for a share of the training done, 0..1, times a factor; returns it."""
    rate = factor * config.learning_rate * (1.0 - (1.0 - config.final_fraction) * min(progress, 1.0))
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def adapted_factor(factor: float, kl: float, target: float | None) -> float:
    """The factor of the step size after an update that moved the policy by `kl`.

    Smaller by 1.5 where that is more than twice the target, larger by 1.5 where less than half of it.
    """
    if target is None:
        return factor
    if kl > 2.0 * target:
        factor /= _STEP
    elif kl < 0.5 * target:
        factor *= _STEP
    return min(max(factor, 1.0 / _MOST), _MOST)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory, as ``<parameter>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
