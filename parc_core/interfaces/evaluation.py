"""Deterministic evaluation of an agent: follow every motion from given starts and say how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from parc_core.interfaces.tracker_env import Done

if TYPE_CHECKING:
    from parc_core.interfaces.agent import Agent
    from parc_core.interfaces.tracker_env import TrackerEnv

__all__ = ["evaluate"]


def evaluate(agent: Agent, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
    """Success rate, mean tracking errors of all steps, and per motion how far it was followed.

    Args:
        start_fractions: where in each motion to start, 0..1 of its length.

    Returns:
        ``success_rate`` 0..1, ``errors`` {name: mean}, ``motions`` [{motion, start_fraction, success, tracked_s,
        length_s, errors}].
    """
    trials = [(m, f) for m in range(env.num_motions) for f in start_fractions]
    rows: list[dict[str, Any]] = []
    for first in range(0, len(trials), env.num_envs):
        rows += _follow(agent, env, trials[first : first + env.num_envs])
    names = list(rows[0]["errors"]) if rows else []
    steps = sum(row["steps"] for row in rows)
    mean = {name: sum(row["errors"][name] * row["steps"] for row in rows) / max(steps, 1) for name in names}
    return {
        "success_rate": sum(row["success"] for row in rows) / max(len(rows), 1),
        "errors": mean,
        "motions": rows,
    }


def _follow(agent: Agent, env: TrackerEnv, trials: list[tuple[int, float]]) -> list[dict[str, Any]]:
    ids = torch.tensor([m for m, _ in trials], device=env.motion_lengths.device)
    starts = torch.tensor([f for _, f in trials], device=ids.device) * env.motion_lengths[ids]
    count = len(trials)
    obs = env.playback(ids, starts)
    agent.start(env)
    alive = torch.ones(count, dtype=torch.bool, device=ids.device)
    success = torch.zeros_like(alive)
    steps = torch.zeros(count, device=ids.device)
    end = starts.clone()
    sums: dict[str, torch.Tensor] = {}
    while alive.any():
        step = env.step(agent.act(env, obs, deterministic=True))
        obs, done = step.obs, step.done[:count]
        steps += alive
        end = torch.where(alive, env.motion_times[:count], end)
        for name, value in step.errors.items():
            sums[name] = sums.get(name, 0.0) + torch.where(alive, value[:count], torch.zeros_like(steps))
        success |= alive & (done == Done.SUCCESS)
        alive &= done == Done.NULL
    return [
        {
            "motion": env.motion_names[m],
            "start_fraction": f,
            "success": bool(success[i]),
            "tracked_s": round(float(end[i] - starts[i]), 4),
            "length_s": round(float(env.motion_lengths[m]), 4),
            "steps": int(steps[i]),
            "errors": {name: float(value[i] / steps[i].clamp_min(1)) for name, value in sums.items()},
        }
        for i, (m, f) in enumerate(trials)
    ]
