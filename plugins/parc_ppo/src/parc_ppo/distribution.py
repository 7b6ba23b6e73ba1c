"""Diagonal Gaussians over normalized actions, as pure functions of mean and log standard deviation.

A learned log standard deviation is bounded, so that the standard deviation is positive and finite whatever is learned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOG_STD_BOUNDS", "bound_excess", "bounded", "entropy", "log_prob", "sample", "unbounded"]

#: of learned standard deviations: 0.0025 to 7.4 half ranges of the action
LOG_STD_BOUNDS = (-6.0, 2.0)
_MIDDLE, _HALF = 0.5 * sum(LOG_STD_BOUNDS), 0.5 * (LOG_STD_BOUNDS[1] - LOG_STD_BOUNDS[0])
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def bounded(raw: Tensor) -> Tensor:
    """A log standard deviation inside `LOG_STD_BOUNDS` for any number, including infinities and NaN.

    Softsign, ``x / (1 + |x|)``, scaled to the bounds: unlike a clamp it has a gradient everywhere.
    """
    return _MIDDLE + _HALF * functional.softsign(raw.nan_to_num())


def unbounded(log_std: Tensor) -> Tensor:
    """The inverse of `bounded`, for log standard deviations inside the bounds."""
    scaled = (log_std - _MIDDLE) / _HALF
    return scaled / (1.0 - scaled.abs())


def sample(mean: Tensor, log_std: Tensor, rng: torch.Generator) -> Tensor:
    """Samples ``[N, A]``; `log_std` is ``[A]`` or ``[N, A]``."""
    noise = torch.randn(mean.shape, generator=rng, device=mean.device, dtype=mean.dtype)
    return mean + log_std.exp() * noise


def log_prob(mean: Tensor, log_std: Tensor, action: Tensor) -> Tensor:
    """Log density of actions ``[N, A]``: ``[N]``."""
    scaled = (action - mean) * torch.exp(-log_std)
    log_scale = log_std.sum(dim=-1) + _HALF_LOG_TAU * mean.shape[-1]
    return -0.5 * scaled.square().sum(dim=-1) - log_scale


def entropy(log_std: Tensor) -> Tensor:
    """Differential entropy, ``[]`` or ``[N]``."""
    return (log_std + _HALF_LOG_TAU + 0.5).sum(dim=-1)


def bound_excess(mean: Tensor) -> Tensor:
    """Squared distance of mean actions from the range -1..1, ``[N]``: ``sum_j max(|mean_j| - 1, 0)^2``."""
    return (mean.abs() - 1.0).clamp_min(0.0).square().sum(dim=-1)
