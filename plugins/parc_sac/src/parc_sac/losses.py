"""Formulas of soft actor-critic with distributional critics, pure functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "LOG_STD_BOUNDS",
    "actor_loss",
    "alpha_loss",
    "bounded_log_std",
    "critic_loss",
    "expected",
    "gaussian_entropy",
    "pick_smaller",
    "project",
    "sample_action",
    "unbounded_log_std",
    "value_support",
]

#: of the standard deviations that an actor can give: 0.0067 to 1 half range of the action
LOG_STD_BOUNDS = (-5.0, 0.0)
_MIDDLE, _HALF = 0.5 * sum(LOG_STD_BOUNDS), 0.5 * (LOG_STD_BOUNDS[1] - LOG_STD_BOUNDS[0])
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


def bounded_log_std(raw: Tensor) -> Tensor:
    """A log standard deviation inside `LOG_STD_BOUNDS`, ``middle + half tanh(raw)``."""
    return _MIDDLE + _HALF * torch.tanh(raw)


def unbounded_log_std(log_std: float) -> float:
    """The inverse of `bounded_log_std`; what lies outside the bounds is moved to just inside."""
    return math.atanh(min(max((log_std - _MIDDLE) / _HALF, -0.999), 0.999))


def gaussian_entropy(std: float, size: int) -> float:
    """Differential entropy of `size` independent normal distributions, nats."""
    return size * (math.log(std) + _HALF_LOG_TAU + 0.5)


def sample_action(mean: Tensor, log_std: Tensor, noise: Tensor, squash: bool) -> tuple[Tensor, Tensor]:
    """Actions ``[N, A]`` and their log densities ``[N]``.

    ``u = mean + std * noise``; squashed ``a = tanh(u)``, with ``log p(a) = log p(u) - sum_j log(1 - a_j^2)`` and
    ``log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u))``, which does not overflow.

    Source: Haarnoja et al. 2018, "Soft Actor-Critic Algorithms and Applications", appendix C.

    Args:
        noise: standard normal numbers ``[N, A]``.
    """
    raw = mean + log_std.exp() * noise
    log_prob = -0.5 * noise.square() - log_std - _HALF_LOG_TAU
    if not squash:
        return raw, log_prob.sum(dim=-1)
    log_prob = log_prob - 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
    return torch.tanh(raw), log_prob.sum(dim=-1)


def value_support(reward_range: tuple[float, float], discount: float, num_atoms: int) -> Tensor:
    """The returns ``[Z]`` over which critics give distributions: those that such rewards can add up to, and a tenth.

    The tenth at either end is for the entropy, which counts as reward.
    """
    low, high = (min(reward_range[0], 0.0) / (1.0 - discount), max(reward_range[1], 0.0) / (1.0 - discount))
    margin = 0.1 * (high - low)
    return torch.linspace(low - margin, high + margin, num_atoms)


def expected(logits: Tensor, support: Tensor) -> Tensor:
    """Expected return of distributions ``[..., Z]`` given as logits: ``[...]``."""
    return (logits.softmax(dim=-1) * support).sum(dim=-1)


def project(probs: Tensor, returns: Tensor, support: Tensor) -> Tensor:
    """Distributions over other returns, projected onto the support: ``[..., Z]``.

    The probability of each return is shared by the two atoms around it, in proportion to their closeness; returns
    beyond the support count for its end.

    Source: Bellemare et al. 2017, "A Distributional Perspective on Reinforcement Learning", eq. 7.

    Args:
        probs: ``[..., Z]``.
        returns: ``[..., Z]``, which they are the probabilities of.
        support: evenly spaced, ``[Z]``.
    """
    last = len(support) - 1
    step = (support[-1] - support[0]) / last
    place = ((returns - support[0]) / step).clamp(0.0, float(last))
    lower = place.floor().clamp(max=float(last - 1))
    share = place - lower
    index = lower.nan_to_num().long()  # what is not a number stays one, and makes the loss one
    found = torch.zeros_like(probs)
    found.scatter_add_(-1, index, probs * (1.0 - share))
    return found.scatter_add_(-1, index + 1, probs * share)


def pick_smaller(probs: Tensor, support: Tensor) -> Tensor:
    """Of the distributions of critics ``[C, N, Z]``, for each sample the one with the smallest mean: ``[N, Z]``."""
    smallest = (probs * support).sum(dim=-1).argmin(dim=0)
    return probs.gather(0, smallest[None, :, None].expand(1, -1, probs.shape[-1]))[0]


def critic_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of the critics' distributions ``[C, N, Z]`` to the target ``[N, Z]``, summed over critics."""
    return -(target * logits.log_softmax(dim=-1)).sum(dim=-1).mean(dim=-1).sum()


def actor_loss(log_prob: Tensor, value: Tensor, alpha: Tensor) -> Tensor:
    """``mean(alpha log pi(a|s) - Q(s, a))``, for actions sampled by the actor."""
    return (alpha * log_prob - value).mean()


def alpha_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """``-alpha mean(log pi(a|s) + target entropy)``: the temperature rises where the entropy is too small."""
    return -(log_alpha.exp() * (log_prob.detach().mean() + target_entropy))
