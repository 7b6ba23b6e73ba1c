"""Diagonal Gaussians over normalised actions, as pure functions of mean and log standard deviation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["bound_excess", "entropy", "log_prob", "sample"]

_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def sample(mean: Tensor, log_std: Tensor, rng: torch.Generator) -> Tensor:
    """Draws ``[N, A]``; `log_std` is ``[A]`` or ``[N, A]``."""
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
    """Squared distance of mean actions to the range -1..1, ``[N]``."""
    return (mean.abs() - 1.0).clamp_min(0.0).square().sum(dim=-1)
