"""Episodes with mean actions, from starts as in training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from parc_core.interfaces import Done, TrackerEnv, stop_point

__all__ = ["run_episodes"]


@torch.no_grad()
def run_episodes(env: TrackerEnv, act: Callable[[Tensor], Tensor], num_episodes: int) -> dict[str, float]:
    """Mean return, length and errors of `num_episodes` or more episodes, equally many of each environment.

    Errors are means over the steps of an episode, then over episodes. Episodes start as in training.
    Every environment contributes the same number: counting the first that end would count short episodes more often.

    Args:
        act: the environment's actions ``[N, A]`` for its observations ``[N, O]``.

    Returns:
        ``mean_return``, ``mean_ep_len`` (control steps), ``num_eps``, ``mean_<error>_tracking_err`` of each error.

    Source: the tests of the implementation that `parc_motion.published` cites.
    """
    per_env = -(-num_episodes // env.num_envs)
    obs = env.reset()
    count = torch.zeros(env.num_envs, device=obs.device)
    total_return, total_length = torch.zeros_like(count), torch.zeros_like(count)
    length = torch.zeros_like(count)
    running: dict[str, Tensor] = {}
    errors: dict[str, Tensor] = {}
    while bool((count < per_env).any()):
        stop_point()
        counted = (count < per_env).float()
        step = env.step(act(obs))
        obs, over = step.obs, step.done != Done.NULL
        total_return += step.reward * counted
        total_length += counted
        length += 1.0
        for name, value in step.errors.items():
            running[name] = running.get(name, torch.zeros_like(value)) + value
            ended = torch.where(over, running[name] / length, 0.0) * counted
            errors[name] = errors.get(name, torch.zeros_like(ended.sum())) + ended.sum()
            running[name] = running[name] * ~over
        length *= ~over
        count += over
    episodes = per_env * env.num_envs
    found = {
        "mean_return": float(total_return.sum()) / episodes,
        "mean_ep_len": float(total_length.sum()) / episodes,
        "num_eps": episodes,
    }
    return found | {f"mean_{name}_tracking_err": float(value) / episodes for name, value in errors.items()}
