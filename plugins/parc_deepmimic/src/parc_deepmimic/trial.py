"""One batch of playbacks, written down: what every motion did until it ended."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces.agent import Agent
from parc_core.interfaces.tracker_env import Done, Snapshot, TrackerEnv

__all__ = ["Trial", "run_trials"]


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """A motion followed from a start until its end or its loss; T states, the initial one included."""

    motion_id: int
    start_s: float  # time in the reference
    success: bool
    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4]
    joint_rot: np.ndarray  # [T, J, 4]
    force: np.ndarray  # [T, B] N, sizes of contact forces; the initial state's are nan: nobody measured them
    ref_contacts: np.ndarray  # [T, B] 0..1
    errors: dict[str, float]  # means over the steps

    @property
    def tracked_steps(self) -> int:
        """Control steps until the end."""
        return len(self.root_pos) - 1


def run_trials(
    env: TrackerEnv,
    agent: Agent,
    motion_ids: list[int],
    start_times: list[float],
    on_step: Callable[[], None] = lambda: None,
) -> list[Trial]:
    """Follow motions side by side, deterministically; at most ``env.num_envs`` of them.

    Args:
        on_step: called before each control step; may raise to stop.
    """
    count = len(motion_ids)
    device = env.motion_lengths.device
    ids = torch.tensor(motion_ids, device=device)
    starts = torch.tensor(start_times, device=device)
    obs = env.playback(ids, starts)
    agent.start(env)
    states = [_arrays(env.snapshot(), count)]
    alive = torch.ones(count, dtype=torch.bool, device=device)
    success, steps = torch.zeros_like(alive), torch.zeros(count, dtype=torch.long, device=device)
    sums: dict[str, Tensor] = {}
    while bool(alive.any()):
        on_step()
        step = env.step(agent.act(env, obs, deterministic=True))
        obs, done = step.obs, step.done[:count]
        steps += alive
        for name, value in step.errors.items():
            sums[name] = sums.get(name, 0.0) + torch.where(alive, value[:count], 0.0)
        states.append(_arrays(env.snapshot(), count))
        success |= alive & (done == int(Done.SUCCESS))
        alive = alive & (done == int(Done.NULL))
    stacked = {name: torch.stack([s[name] for s in states], dim=1).cpu().numpy() for name in states[0]}
    stacked["force"][:, 0] = np.nan
    return [
        _trial(i, motion_ids[i], start_times[i], bool(success[i]), int(steps[i]), stacked, sums)
        for i in range(count)
    ]


def _arrays(now: Snapshot, count: int) -> dict[str, Tensor]:
    state = now.state
    return {
        "root_pos": state.root_pos[:count],
        "root_rot": state.root_rot[:count],
        "joint_rot": state.joint_rot[:count],
        "force": state.contact_force[:count].norm(dim=-1),
        "ref_contacts": now.reference.contacts[:count],
    }


def _trial(
    i: int,
    motion_id: int,
    start_s: float,
    success: bool,
    steps: int,
    stacked: dict[str, np.ndarray],
    sums: dict[str, Tensor],
) -> Trial:
    return Trial(
        motion_id=motion_id,
        start_s=start_s,
        success=success,
        errors={name: float(total[i]) / max(steps, 1) for name, total in sums.items()},
        **{name: values[i, : steps + 1].copy() for name, values in stacked.items()},
    )
