"""Deterministic evaluation of an agent: motions followed from given starts, with success and tracking errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from parc_motion.playback import Playback

if TYPE_CHECKING:
    from parc_core.interfaces.agent import Agent
    from parc_core.interfaces.tracker_env import TrackerEnv

__all__ = ["evaluate", "follow", "mean_errors"]


def evaluate(agent: Agent, env: TrackerEnv, start_fractions: tuple[float, ...] = (0.0,)) -> dict[str, Any]:
    """Success rate, mean tracking errors of all steps, and per motion how far it was followed.

    Args:
        start_fractions: where in each motion to start, 0..1 of its length.

    Returns:
        ``success_rate`` 0..1, ``errors`` {name: mean}, ``motions`` [{motion, start_fraction, success, tracked_s,
        length_s, steps, errors}].
    """
    trials = [(m, f) for m in range(env.num_motions) for f in start_fractions]
    device = env.motion_lengths.device
    ids = torch.tensor([m for m, _ in trials], dtype=torch.long, device=device)
    starts = torch.tensor([f for _, f in trials], device=device) * env.motion_lengths[ids]
    rows = follow(agent, env, ids, starts)
    motions = [
        {"motion": row["motion"], "start_fraction": f, **{k: v for k, v in row.items() if k not in _PLACE}}
        for row, (_, f) in zip(rows, trials)
    ]
    return {
        "success_rate": sum(row["success"] for row in rows) / max(len(rows), 1),
        "errors": mean_errors(rows),
        "motions": motions,
    }


def follow(
    agent: Agent,
    env: TrackerEnv,
    motion_ids: Tensor,
    start_times: Tensor,
    noise: torch.Generator | None = None,
) -> list[dict[str, Any]]:
    """Let an agent follow motions from given starts, `env.num_envs` of them side by side.

    Args:
        motion_ids: ``[K]``, any number.
        start_times: s, ``[K]``.
        noise: perturbs the starts; see `TrackerEnv.playback`.

    Returns:
        A row per start, in order: ``motion`` (its name), ``start_s``, ``success`` (its end was reached), ``tracked_s``
        (time that it was followed), ``length_s`` of the motion, ``steps``, ``errors`` {name: mean over the steps}.
    """
    rows: list[dict[str, Any]] = []
    for first in range(0, len(motion_ids), env.num_envs):
        chosen = slice(first, first + env.num_envs)
        rows += _follow(agent, env, motion_ids[chosen], start_times[chosen], noise)
    return rows


def mean_errors(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean tracking errors over all steps of rows that `follow` gave, by name."""
    names = list(rows[0]["errors"]) if rows else []
    steps = sum(row["steps"] for row in rows)
    return {name: sum(row["errors"][name] * row["steps"] for row in rows) / max(steps, 1) for name in names}


_PLACE = ("motion", "start_s")


def _follow(
    agent: Agent, env: TrackerEnv, ids: Tensor, starts: Tensor, noise: torch.Generator | None
) -> list[dict[str, Any]]:
    playback = Playback(env, agent, ids, starts, noise=noise)
    sums: dict[str, Tensor] = {}
    for step in playback:
        for name, value in step.errors.items():
            counted = torch.where(playback.moved, value[: playback.count], 0.0)
            sums[name] = sums[name] + counted if name in sums else counted
    steps = playback.num_steps
    return [
        {
            "motion": env.motion_names[m],
            "start_s": round(float(starts[i]), 4),
            "success": bool(playback.success[i]),
            "tracked_s": round(float(playback.times[i] - starts[i]), 4),
            "length_s": round(float(env.motion_lengths[m]), 4),
            "steps": int(steps[i]),
            "errors": {name: float(value[i] / steps[i].clamp_min(1)) for name, value in sums.items()},
        }
        for i, m in enumerate(ids.tolist())
    ]
