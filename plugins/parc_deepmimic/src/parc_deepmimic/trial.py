"""One batch of playbacks as arrays: the states until each motion ended, and the servo targets that led to them."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import Agent, CharacterState, Snapshot, TrackerEnv
from parc_motion.clips import START_FIELDS
from parc_motion.playback import Playback

__all__ = ["Trial", "run_trials"]


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """T states of a motion that was followed from a start until its end or its loss, or a part of them."""

    motion_id: int
    start_s: float  # time in the reference at which it started
    success: bool
    root_pos: np.ndarray  # [T, 3] m
    root_rot: np.ndarray  # [T, 4]
    joint_rot: np.ndarray  # [T, J, 4]
    sound: np.ndarray  # [T] bool, False where the simulation had diverged
    force: (
        np.ndarray
    )  # [T, B] N, sizes of contact forces; nan in the initial state, where they are not measured
    ref_contacts: np.ndarray  # [T, B] 0..1
    errors: dict[str, np.ndarray]  # [T] each, tracking errors by name; 0 in the initial state
    start: dict[str, np.ndarray]  # the state that it started in, exactly as the simulator got it
    dof_target: np.ndarray  # [lead_in + T - 1, D] rad, from the start
    lead_in: int = 0  # control steps before the first of the T states

    @property
    def num_states(self) -> int:
        """T."""
        return len(self.root_pos)

    @property
    def mean_errors(self) -> dict[str, float]:
        """Means over the control steps."""
        steps = slice(1, None) if self.num_states > 1 else slice(None)
        return {name: float(values[steps].mean(dtype=np.float64)) for name, values in self.errors.items()}

    def part(self, first: int, stop: int) -> Trial:
        """States first..stop-1."""
        names = ("root_pos", "root_rot", "joint_rot", "sound", "force", "ref_contacts")
        return attrs.evolve(
            self,
            **{name: getattr(self, name)[first:stop] for name in names},
            errors={name: values[first:stop] for name, values in self.errors.items()},
            dof_target=self.dof_target[: self.lead_in + stop - 1],
            lead_in=self.lead_in + first,
        )


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
    start: dict[str, np.ndarray] = {}
    playback = Playback(
        env,
        agent,
        torch.tensor(motion_ids, device=device),
        torch.tensor(start_times, device=device),
        at_start=lambda: start.update(_restart(env, count)),
    )
    states, targets = [_arrays(env.snapshot(), count)], []
    errors: list[dict[str, Tensor]] = []
    while bool(playback.running.any()):
        on_step()
        action = playback.act()
        targets.append(env.dof_target(action)[:count])
        step = playback.step(action)
        errors.append({name: value[:count] for name, value in step.errors.items()})
        states.append(_arrays(env.snapshot(), count))
    stacked, all_errors = _stack(states), _stack([_zeros(errors[0]), *errors])
    stacked["force"][:, 0] = np.nan
    dof_target = torch.stack(targets, dim=1).cpu().numpy()
    return [
        Trial(
            motion_id=motion_ids[i],
            start_s=start_times[i],
            success=bool(playback.success[i]),
            start={name: values[i] for name, values in start.items()},
            dof_target=dof_target[i, :steps].copy(),
            errors={name: values[i, : steps + 1].copy() for name, values in all_errors.items()},
            root_pos=stacked["root_pos"][i, : steps + 1].copy(),
            root_rot=stacked["root_rot"][i, : steps + 1].copy(),
            joint_rot=stacked["joint_rot"][i, : steps + 1].copy(),
            sound=stacked["sound"][i, : steps + 1].copy(),
            force=stacked["force"][i, : steps + 1].copy(),
            ref_contacts=stacked["ref_contacts"][i, : steps + 1].copy(),
        )
        for i, steps in enumerate(playback.num_steps.tolist())
    ]


def _restart(env: TrackerEnv, count: int) -> dict[str, np.ndarray]:
    """Put the envs into exactly the states that can be read from them, and return those, ``[count, ...]``.

    An env may compute its start with more precision than a file stores. After this, the stored numbers are the whole
    start, so that a replay from them gives the same motion.
    """
    now = env.simulator.read()
    state = CharacterState(**{name: getattr(now, name)[:count].clone() for name in START_FIELDS})
    env.simulator.reset(torch.arange(count, device=state.root_pos.device), state)
    return {name: getattr(state, name).cpu().numpy().copy() for name in START_FIELDS}


def _arrays(now: Snapshot, count: int) -> dict[str, Tensor]:
    state = now.state
    return {
        "root_pos": state.root_pos[:count],
        "root_rot": state.root_rot[:count],
        "joint_rot": state.joint_rot[:count],
        "sound": state.finite[:count],
        "force": state.ground_force[:count].norm(dim=-1),
        "ref_contacts": now.reference.contacts[:count],
    }


def _zeros(like: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.zeros_like(value) for name, value in like.items()}


def _stack(rows: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    return {name: torch.stack([row[name] for row in rows], dim=1).cpu().numpy() for name in rows[0]}
