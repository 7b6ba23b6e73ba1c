"""Returns and advantages, pure functions of what was collected. Time is the first axis."""

from __future__ import annotations

import torch
from torch import Tensor

from parc_core.interfaces import Done, Parallel

__all__ = ["moments", "next_values", "normalized_advantage", "td_lambda_returns", "value_bounds"]


def value_bounds(reward_range: tuple[float, float], discount: float) -> tuple[float, float]:
    """Lowest and highest value of a state: reward bounds / (1 - discount), or 0, as an episode may end."""
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
    """V(s_{t+1}) of each step: the value of the next state, or of the last state of the episode.

    Args:
        value: of the states before each step and after the last one, ``[H + 1, N]``.
        final_value: of the last states of episodes, ``[H, N]``; read only where `done` is not NULL.
        done: `Done`, ``[H, N]``. The value after a failure is 0.
        bounds: lowest and highest possible value; others are clamped.
    """
    following = torch.where(done == Done.NULL, value[1:], final_value)
    if bounds is not None:
        following = following.clamp(*bounds)
    terminal = done == Done.FAIL
    if not bootstrap_timeout:
        terminal = terminal | (done == Done.TIMEOUT)
    if not bootstrap_success:
        terminal = terminal | (done == Done.SUCCESS)
    return torch.where(terminal, torch.zeros_like(following), following)


def td_lambda_returns(
    reward: Tensor, following: Tensor, done: Tensor, discount: float, td_lambda: float
) -> Tensor:
    """TD(lambda) returns ``[H, N]``; minus the values they are the generalized advantage estimates (GAE).

    ``R_t = r_t + discount * ((1 - l) V_{t+1} + l R_{t+1})`` with ``l = td_lambda`` inside an episode and 0 at
    its end and at the end of the rollout.

    Source: Sutton and Barto 2018, "Reinforcement Learning", section 12.1; Schulman et al. 2016, "High-Dimensional
    Continuous Control Using Generalized Advantage Estimation". The implementation that
    `parc_motion.published` cites computes them the same way.

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


def moments(values: Tensor, parallel: Parallel) -> tuple[int, Tensor, Tensor]:
    """Number, mean and variance of the values of all processes."""
    if parallel.size == 1:
        return values.numel(), values.mean(), values.var(correction=0)
    total = torch.stack([values.new_tensor(values.numel(), dtype=torch.float64), values.double().sum()])
    parallel.sum_([total])
    mean = total[1] / total[0].clamp_min(1.0)
    square = (values.double() - mean).square().sum()
    parallel.sum_([square])
    return int(total[0]), mean.to(values.dtype), (square / total[0].clamp_min(1.0)).to(values.dtype)


def normalized_advantage(
    advantage: Tensor, sampled: Tensor | None, clip: float, parallel: Parallel | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Advantages with mean 0 and standard deviation 1, clipped; and that mean and deviation.

    Args:
        sampled: which actions were sampled (the others are mean actions), bool; only they count. None: all.
        parallel: normalize over the samples of all processes; None: of this one only.
    """
    counted = advantage if sampled is None else advantage[sampled]
    if parallel is None or parallel.size == 1:
        number = counted.numel()
        std, mean = torch.std_mean(counted, correction=0) if number > 1 else (counted.sum(), counted.sum())
    else:
        number, mean, var = moments(counted, parallel)
        std = var.sqrt()
    if number < 2:
        return torch.zeros_like(advantage), advantage.new_zeros(()), advantage.new_ones(())
    scaled = (advantage - mean) / std.clamp_min(1e-5)
    return scaled.clamp(-clip, clip), mean, std
