"""Lets simulators with one world for all environments be used as if each environment had its own terrain.

Such a simulator has the capability "one_world" and builds scenes of a single terrain. All terrains are laid out on one
grid; states are translated to and from the coordinates of each environment's own terrain, so that references,
observations and recordings need no offsets.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from parc_core.interfaces import CAPABILITIES, BodyState, CharacterState, Rollout, Scene, Simulator
from parc_motion.errors import DataError
from parc_motion.terrains import lay_out

__all__ = ["ONE_WORLD", "OneWorld", "in_own_coordinates"]

ONE_WORLD = "one_world"


def in_own_coordinates(simulator: Simulator) -> Simulator:
    """The simulator itself, or a wrapper that translates between its world and the terrains.

    Raises:
        DataError: it has a capability that does not exist.
    """
    unknown = sorted(simulator.capabilities - CAPABILITIES)
    if unknown:
        raise DataError(
            f"simulator {type(simulator).__name__}: its capability '{unknown[0]}' does not exist; there are "
            f"{', '.join(sorted(CAPABILITIES))}."
        )
    return OneWorld(simulator) if ONE_WORLD in simulator.capabilities else simulator


class OneWorld(Simulator):
    """Translates for a simulator with one world."""

    def __init__(self, inner: Simulator) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities - {ONE_WORLD}

    @property
    def num_diverged(self) -> int:  # type: ignore[override]
        """That of the simulator."""
        return self.inner.num_diverged

    def build(self, scene: Scene) -> None:
        """The inner simulator gets one terrain that holds all of them."""
        self.scene, self.grid = scene, lay_out(scene.terrains)
        self.inner.build(attrs.evolve(scene, terrains=[self.grid.terrain]))
        self._terrain_ids = np.zeros(scene.num_envs, dtype=np.int64)

    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Remember where in the grid the envs stand; their next reset puts them there."""
        ids = terrain_ids.cpu().numpy()
        if ids.size and (ids.min() < 0 or ids.max() >= len(self.grid.offsets)):
            count = len(self.grid.offsets)
            raise DataError(
                f"set_terrains: terrain ids {ids.min()}..{ids.max()}; the scene has 0..{count - 1}."
            )
        self._terrain_ids[env_ids.cpu().numpy()] = ids

    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Put the envs into states given in the coordinates of their terrains."""
        offset = self._offset(self._terrain_ids[env_ids.cpu().numpy()], state.root_pos)
        self.inner.reset(env_ids, attrs.evolve(state, root_pos=state.root_pos + offset))

    def set_targets(self, dof_target: Tensor) -> None:
        """As given."""
        self.inner.set_targets(dof_target)

    def step(self, env_ids: Tensor | None = None) -> None:
        """One control step."""
        self.inner.step(env_ids)

    def read(self) -> BodyState:
        """The state now, in the coordinates of each env's terrain."""
        state = self.inner.read()
        offset = self._offset(self._terrain_ids, state.body_pos)
        return attrs.evolve(state, body_pos=state.body_pos - offset[:, None])

    def save_state(self, env_ids: Tensor) -> Any:
        """The inner simulator's states, and where they stand."""
        return self.inner.save_state(env_ids), self._terrain_ids[env_ids.cpu().numpy()]

    def rollout(self, states: Any, copies: int, dof_targets: Tensor) -> Rollout:
        """Rollouts in the coordinates of the terrains."""
        saved, terrain_ids = states
        rollout = self.inner.rollout(saved, copies, dof_targets)
        offset = self._offset(np.repeat(terrain_ids, copies), rollout.root_pos)
        return attrs.evolve(rollout, root_pos=rollout.root_pos - offset[:, None])

    def close(self) -> None:
        """Close the simulator."""
        self.inner.close()

    def _offset(self, terrain_ids: np.ndarray, like: Tensor) -> Tensor:
        offset = torch.zeros(len(terrain_ids), 3, device=like.device, dtype=like.dtype)
        offset[:, :2] = torch.as_tensor(self.grid.offsets[terrain_ids]).to(like)
        return offset
