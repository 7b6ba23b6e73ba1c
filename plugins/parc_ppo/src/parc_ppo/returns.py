"""Returns and advantages, pure functions of what was collected. Time is the first axis."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Done

__all__ = ["next_values", "normalized_advantage", "td_lambda_returns", "value_bounds"]


def value_bounds(reward_range: tuple[float, float], discount: float) -> tuple[float, float]:
    """Least and largest value of a state: the reward's range, for ever or (0) not at all, as an episode may end."""
    low, high = reward_range
    return min(low, 0.0) / (1.0 - discount), max(high, 0.0) / (1.0 - discount)


def next_values(
    value: Tensor,
    final_value: Tensor,
    done: Tensor,
    *,
    bootstrap_timeout: bool,
    bootstrap_success: bool,
    bounds: tuple[float, float] | None = None,
) -> Tensor:
    """Value of what follows each step: of the next state, or of the end of the episode.

    Args:
        value: of the states before each step and after the last one, ``[H + 1, N]``.
        final_value: of the states that steps ended in, ``[H, N]``; read only where an episode ended.
        done: `Done`, ``[H, N]``. A failure is worth 0.
        bounds: lowest and highest possible value; others are clamped.
    """
    following = torch.where(done == Done.NULL, value[1:], final_value)
    if bounds is not None:
        following = following.clamp(*bounds)
    worthless = done == Done.FAIL
    if not bootstrap_timeout:
        worthless = worthless | (done == Done.TIMEOUT)
    if not bootstrap_success:
        worthless = worthless | (done == Done.SUCCESS)
    return torch.where(worthless, torch.zeros_like(following), following)


def td_lambda_returns(
    reward: Tensor, following: Tensor, done: Tensor, discount: float, td_lambda: float
) -> Tensor:
    """TD(lambda) returns ``[H, N]``; minus the values they are the generalised advantage estimates.

    ``R_t = r_t + discount * ((1 - l) V_{t+1} + l R_{t+1})`` with ``l = td_lambda`` inside an episode and 0 at
    its end and at the end of the rollout. Source: published PARC implementation.

    Args:
        following: `next_values`, ``[H, N]``.
    """
    returns = torch.empty_like(reward)
    carry = following[-1]
    weight = td_lambda * (done == Done.NULL).to(reward.dtype)
    for t in range(len(reward) - 1, -1, -1):
        carry = reward[t] + discount * torch.lerp(following[t], carry, weight[t])
        returns[t] = carry
    return returns


def normalized_advantage(
    advantage: Tensor, drawn: Tensor | None, clip: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Advantages with mean 0 and standard deviation 1, clipped; and that mean and deviation.

    Args:
        drawn: which actions were drawn and not the mean, bool; only they count. None: all.
    """
    counted = advantage if drawn is None else advantage[drawn]
    if counted.numel() < 2:
        return torch.zeros_like(advantage), advantage.new_zeros(()), advantage.new_ones(())
    std, mean = torch.std_mean(counted, correction=0)
    scaled = (advantage - mean) / std.clamp_min(1e-5)
    return scaled.clamp(-clip, clip), mean, std
