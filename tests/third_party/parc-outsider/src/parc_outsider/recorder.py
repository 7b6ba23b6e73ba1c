"""Recorder `first_try`: every motion once, from its first frame; the second agent tries what the first lost."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.config import Use, setting
from parc_core.interfaces import (
    Agent,
    Done,
    Miss,
    Recorded,
    Recorder,
    RecordReport,
    StageContext,
    Stopped,
    TrackerEnv,
)
from parc_motion.clips import Execution, MotionClip, Provenance
from parc_motion.skeletons import Skeleton

__all__ = ["FirstTryConfig", "FirstTryRecorder"]

_START = ("root_pos", "root_rot", "joint_rot", "root_vel", "root_ang_vel", "dof_vel")


@attrs.frozen(kw_only=True)
class FirstTryConfig:
    """Settings of `first_try`."""

    second_chance: Use | None = setting(
        None, kind="agent", help="Agent that tries the motions that the first agent lost."
    )


class FirstTryRecorder(Recorder):
    """Keeps a motion if its end is reached."""

    def __init__(self, config: FirstTryConfig, *, skeleton: Skeleton, second_chance: Agent | None) -> None:
        self.config, self.skeleton, self.second_chance = config, skeleton, second_chance

    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """One try per motion and agent."""
        recorded: list[Recorded] = []
        lost: dict[str, tuple[Miss, ...]] = {name: () for name in env.motion_names}
        for one in (agent, self.second_chance):
            ids = [m for m, name in enumerate(env.motion_names) if name in lost]
            for first in range(0, len(ids) if one is not None else 0, env.num_envs):
                for result in _try(env, one, ids[first : first + env.num_envs], clips, ctx):
                    if isinstance(result, Recorded):
                        misses = lost.pop(result.motion)
                        recorded.append(attrs.evolve(result, attempts=1 + len(misses), misses=misses))
                    else:
                        name, miss = result
                        lost[name] = (*lost[name], miss)
                ctx.progress.update(len(recorded), len(clips))
        ctx.progress.update(len(clips), len(clips))
        order = {name: m for m, name in enumerate(env.motion_names)}
        return RecordReport(recorded=tuple(sorted(recorded, key=lambda row: order[row.motion])), lost=lost)


def _try(
    env: TrackerEnv, agent: Agent, ids: Sequence[int], clips: Sequence[MotionClip], ctx: StageContext
) -> list[Recorded | tuple[str, Miss]]:
    """Follow motions side by side from their first frames; what became of each."""
    count = len(ids)
    obs = env.playback(
        torch.tensor(ids, device=env.motion_lengths.device), env.motion_lengths.new_zeros(count)
    )
    agent.start(env)
    states, targets, done = [env.read()], [], torch.zeros(count, dtype=torch.int8)
    ends, errors = torch.zeros(count), [dict[str, float]() for _ in ids]
    with torch.no_grad():
        while (done == Done.NULL).any():
            if ctx.should_stop():
                raise Stopped
            action = agent.act(env, obs, deterministic=True)
            targets.append(env.dof_target(action).cpu().numpy())
            step = env.step(action)
            obs = step.obs
            states.append(env.read())
            going = done == Done.NULL
            ends = torch.where(going, env.motion_times[:count].cpu(), ends)
            for i in going.nonzero().flatten().tolist():
                for name, value in step.errors.items():
                    errors[i][name] = errors[i].get(name, 0.0) + float(value[i])
            done = torch.where(going, step.done[:count].cpu(), done)
    results: list[Recorded | tuple[str, Miss]] = []
    for i, m in enumerate(ids):
        end, steps = float(ends[i]), round(float(ends[i]) * env.control_hz)
        if done[i] == Done.SUCCESS:
            clip = _clip(env, states[: steps + 1], i, clips[m], agent)
            execution = _execution(env, states[0], np.stack(targets)[:steps, i], i, clips[m])
            mean = {name: value / steps for name, value in errors[i].items()}
            results.append(
                Recorded(
                    clip=clip,
                    motion=env.motion_names[m],
                    agent=agent.name,
                    start_fraction=0.0,
                    attempts=1,
                    errors=mean,
                    execution=execution,
                )
            )
        else:
            text = f"{agent.name} lost it after {end:.2f} s"
            miss = Miss(agent=agent.name, start_s=0.0, end_s=end, reason="lost", text=text)
            results.append((env.motion_names[m], miss))
    return results


def _clip(env: TrackerEnv, states: list, row: int, reference: MotionClip, agent: Agent) -> MotionClip:
    def stack(values: list[Tensor]) -> np.ndarray:
        return torch.stack([value[row] for value in values]).cpu().numpy()

    force = stack([state.ground_force for state in states])
    return attrs.evolve(
        reference,
        name=f"{reference.name}_dm",
        fps=env.control_hz,
        root_pos=stack([state.root_pos for state in states]),
        root_rot=stack([state.root_rot for state in states]),
        joint_rot=stack([state.joint_rot for state in states]),
        contacts=(np.linalg.norm(force, axis=-1) > 1.0).astype(np.float32),
        loop="clamp",
        touched=None,
        provenance=Provenance(stage="phys_record", provider="first_try", notes={"agent": agent.name}),
    )


def _execution(env: TrackerEnv, start, targets: np.ndarray, row: int, reference: MotionClip) -> Execution:
    return Execution(
        **{name: getattr(start, name)[row].cpu().numpy() for name in _START},
        dof_target=targets,
        terrain=reference.terrain,
        control_hz=env.control_hz,
        skeleton=env.skeleton.id,
    )
