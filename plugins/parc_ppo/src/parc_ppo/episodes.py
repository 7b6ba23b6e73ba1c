"""Deterministic episodes from drawn starts, as the published agent tests itself."""

from __future__ import annotations

import torch

from parc_core.interfaces.tracker_env import Done, TrackerEnv
from parc_ppo.networks import PolicyNetwork

__all__ = ["run_episodes"]


@torch.no_grad()
def run_episodes(env: TrackerEnv, network: PolicyNetwork, num_episodes: int) -> dict[str, float]:
    """Mean return, length and errors of `num_episodes` or more episodes, equally many of each environment.

    Episodes begin where the environment's training mode puts them. Counting the same number of every
    environment keeps short episodes from being counted more often.
    """
    per_env = -(-num_episodes // env.num_envs)
    obs = env.reset()
    count = torch.zeros(env.num_envs, device=obs.device)
    returns, lengths = torch.zeros_like(count), torch.zeros_like(count)
    errors: dict[str, torch.Tensor] = {}
    while bool((count < per_env).any()):
        counted = (count < per_env).float()
        step = env.step(network.act(obs))
        obs = step.obs
        returns += step.reward * counted
        lengths += counted
        for name, value in step.errors.items():
            errors[name] = errors.get(name, 0.0) + (value * counted).sum()
        count += (step.done != Done.NULL).float()
    episodes = float(per_env * env.num_envs)
    steps = float(lengths.sum())
    found = {
        "mean_return": float(returns.sum()) / episodes,
        "mean_ep_len": steps / episodes,
        "num_eps": episodes,
    }
    return found | {f"mean_{name}_tracking_err": float(value) / steps for name, value in errors.items()}
