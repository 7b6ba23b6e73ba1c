"""The state of an optimizer as named tensors, for checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["load_optimizer", "optimizer_tensors"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state (moments, step counts) as ``<parameter>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore a state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
