"""How robust an agent is: from which frames of the motions, and from which perturbed starts, it reaches their end.

Whether a single deterministic playback succeeds changes from checkpoint to checkpoint; shares over many starts are
stable.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from parc_core.interfaces.evaluation import follow

if TYPE_CHECKING:
    from parc_core.interfaces.agent import Agent
    from parc_core.interfaces.tracker_env import TrackerEnv

__all__ = ["perturbed_starts", "survival", "survival_report"]


def survival_report(
    agent: Agent, env: TrackerEnv, every: int = 10, perturbed: int = 2, rng: torch.Generator | None = None
) -> dict[str, Any]:
    """A fast estimate of robustness for use during training; the env is in playback afterwards, so reset it.

    Args:
        every: control frames between starts.
        perturbed: perturbed starts per motion.
        rng: of the perturbations; by default a new one with seed 0, so that all reports use the same starts.

    Returns:
        ``survival`` and ``perturbed``, as `survival` and `perturbed_starts` give them.
    """
    if rng is None:
        rng = torch.Generator(env.motion_lengths.device).manual_seed(0)
    return {
        "survival": survival(agent, env, every),
        "perturbed": perturbed_starts(agent, env, perturbed, rng),
    }


def survival(agent: Agent, env: TrackerEnv, every: int = 1) -> dict[str, Any]:
    """The share of start frames from which a motion is followed to its end.

    Args:
        every: control frames between starts; the first start is the first frame, the last one is followed by a step.

    Returns:
        ``share`` 0..1, ``survived``, ``starts``, ``motions`` {name: {share, survived, starts}}.
    """
    lengths = env.motion_lengths.cpu()
    ids, frames = [], []
    for motion, length in enumerate(lengths.tolist()):
        for frame in range(0, max(1, round(length * env.control_hz)), every):
            ids.append(motion)
            frames.append(frame)
    motion_ids, starts = torch.tensor(ids), torch.tensor(frames) / env.control_hz
    # starts of similar remaining length are played side by side, so that environments do not wait for longer ones
    order = torch.argsort(lengths[motion_ids] - starts, descending=True, stable=True)
    return _shares(_tried(agent, env, motion_ids[order], starts[order], None))


def perturbed_starts(agent: Agent, env: TrackerEnv, tries: int, noise: torch.Generator) -> dict[str, Any]:
    """The share of perturbed starts at the first frame from which a motion is followed to its end.

    Args:
        tries: starts per motion.
        noise: generator of the perturbations; see `TrackerEnv.playback`.

    Returns:
        As `survival`.
    """
    motion_ids = torch.arange(env.num_motions).repeat_interleave(tries)
    return _shares(_tried(agent, env, motion_ids, torch.zeros(len(motion_ids)), noise))


def _tried(
    agent: Agent, env: TrackerEnv, motion_ids: Tensor, starts: Tensor, noise: torch.Generator | None
) -> list[dict[str, Any]]:
    device = env.motion_lengths.device
    return follow(agent, env, motion_ids.to(device), starts.to(device), noise)


def _shares(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counts: dict[str, list[int]] = {}
    for row in rows:
        count = counts.setdefault(row["motion"], [0, 0])
        count[0] += row["success"]
        count[1] += 1
    motions = {name: _share(*counts[name]) for name in sorted(counts)}
    survived = sum(count[0] for count in counts.values())
    return {**_share(survived, len(rows)), "motions": motions}


def _share(survived: int, starts: int) -> dict[str, Any]:
    return {"share": survived / max(starts, 1), "survived": survived, "starts": starts}
