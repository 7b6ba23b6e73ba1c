"""Losses of an update, pure functions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["MAX_LOG_RATIO", "approx_kl", "clipped_surrogate", "critic_loss"]

#: ratios are limited to e^20, far outside any clip range: larger ones could overflow a float
MAX_LOG_RATIO = 20.0


def clipped_surrogate(log_ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's actor loss ``-mean(min(A ratio, A clip(ratio, 1 - clip, 1 + clip)))``.

    Source: Schulman et al. 2017, "Proximal Policy Optimization Algorithms", eq. 7.

    Args:
        log_ratio: log of new over old probability of each action, ``[N]``.
    """
    ratio = log_ratio.clamp_max(MAX_LOG_RATIO).exp()
    limited = ratio.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(advantage * ratio, advantage * limited).mean()


def critic_loss(value: Tensor, target: Tensor, kind: Literal["L1", "L2"]) -> Tensor:
    """Mean squared (L2) or absolute (L1) error of values ``[N]``."""
    diff = target - value
    return diff.abs().mean() if kind == "L1" else diff.square().mean()


def approx_kl(log_ratio: Tensor) -> Tensor:
    """KL(old || new), estimated from samples of the old policy: unbiased and never negative, ``mean(r - 1 - log r)``.

    Source: Schulman, "Approximating KL Divergence" (the k3 estimator).
    """
    limited = log_ratio.clamp_max(MAX_LOG_RATIO)
    return (limited.exp() - 1.0 - limited).mean()
