"""Simulates recorded clips again from the servo targets stored with them: open loop, without an agent."""

from __future__ import annotations

import attrs
import numpy as np
import torch

from parc_core.interfaces import CharacterState, Scene, Simulator
from parc_deepmimic.frame_measures import ClipMeter
from parc_deepmimic.one_world import in_own_coordinates
from parc_motion.clips import START_FIELDS, Execution, MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

__all__ = ["replay", "replay_difference"]


def replay(
    clip: MotionClip,
    execution: Execution,
    skeleton: Skeleton,
    simulator: Simulator,
    ground: Terrain | None = None,
) -> MotionClip:
    """The clip that the recorded start and servo targets give in a simulator; contacts are copied, not measured.

    Args:
        simulator: a fresh one with the settings of the recording; it is built and stepped here.
        ground: the terrain, instead of the one that it was recorded on.

    Raises:
        DataError: clip and execution do not belong together, or the simulation diverges.
    """
    steps = execution.lead_in + clip.num_frames - 1
    if len(execution.dof_target) != steps or execution.skeleton != clip.skeleton:
        raise DataError(
            f"clip '{clip.name}' ({clip.num_frames} frames of '{clip.skeleton}') does not belong to an execution of "
            f"{len(execution.dof_target)} control steps of '{execution.skeleton}'; {steps} steps were expected."
        )
    simulator = in_own_coordinates(simulator)
    simulator.build(
        Scene(
            skeleton=skeleton,
            terrains=[ground or execution.terrain],
            num_envs=1,
            control_hz=execution.control_hz,
        )
    )
    device = simulator.read().body_pos.device
    only_env = torch.zeros(1, dtype=torch.long, device=device)
    start = {name: torch.tensor(getattr(execution, name), device=device)[None] for name in START_FIELDS}
    simulator.reset(only_env, CharacterState(**start))
    states = [simulator.read()]
    for target in torch.tensor(execution.dof_target, device=device):
        simulator.set_targets(target[None])
        simulator.step()
        states.append(simulator.read())
    states = states[execution.lead_in :]
    if not all(bool(state.finite.all()) for state in states):
        raise DataError(
            f"clip '{clip.name}': the simulation diverges; it did not when the clip was recorded."
        )
    arrays = {
        name: np.stack([getattr(state, name)[0].cpu().numpy() for state in states])
        for name in ("root_pos", "root_rot", "joint_rot")
    }
    for name in ("root_rot", "joint_rot"):
        arrays[name] = arrays[name] / np.linalg.norm(arrays[name], axis=-1, keepdims=True)
    return attrs.evolve(
        clip, root_pos=arrays["root_pos"], root_rot=arrays["root_rot"], joint_rot=arrays["joint_rot"]
    )


def replay_difference(
    clip: MotionClip,
    execution: Execution,
    skeleton: Skeleton,
    simulator: Simulator,
    ground: Terrain | None = None,
) -> float:
    """Largest distance of a body between the clip and its replay, over all frames and bodies, m; see `replay`."""
    meter = ClipMeter(skeleton)
    again = replay(clip, execution, skeleton, simulator, ground)
    return float(np.linalg.norm(meter.body_pos(again) - meter.body_pos(clip), axis=-1).max())
