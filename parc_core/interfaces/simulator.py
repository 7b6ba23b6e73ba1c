"""Kind `simulator`: a batch of copies of one character, each on its own terrain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from parc_motion.skeletons import Skeleton
from parc_motion.terrains import Terrain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CAPABILITIES", "BodyState", "CharacterState", "Rollout", "Scene", "Simulator"]

#: what a simulator can be besides: "rollout", it simulates trajectories from saved states (`Simulator.rollout`);
#: "one_world", it builds scenes of a single terrain only, on which the tracking environment lays all terrains out
#: (`parc_motion.terrains.lay_out`)
CAPABILITIES = frozenset({"rollout", "one_world"})


@attrs.frozen(kw_only=True, eq=False)
class CharacterState:
    """What a reset needs: the generalized state of N characters, world frame."""

    root_pos: Tensor  # [N, 3] m
    root_rot: Tensor  # [N, 4] xyzw
    joint_rot: Tensor  # [N, J, 4] xyzw
    root_vel: Tensor  # [N, 3] m/s
    root_ang_vel: Tensor  # [N, 3] rad/s, world frame
    dof_vel: Tensor  # [N, D] rad/s; a ball joint's three are its angular velocity in the child's frame


@attrs.frozen(kw_only=True, eq=False)
class BodyState:
    """What a simulator reads back: N characters, world frame, all of the same instant."""

    body_pos: Tensor  # [N, B, 3] m
    body_rot: Tensor  # [N, B, 4] xyzw
    body_vel: Tensor  # [N, B, 3] m/s, of the body's origin
    body_ang_vel: Tensor  # [N, B, 3] rad/s
    joint_rot: Tensor  # [N, J, 4] xyzw
    dof_vel: Tensor  # [N, D] rad/s
    contact_force: Tensor  # [N, B, 3] N, of all contacts of the body, self-contact included
    ground_force: Tensor  # [N, B, 3] N, of the contacts with the terrain alone
    finite: Tensor  # [N] bool; a diverged copy is False and its numbers are not to be used

    @property
    def root_pos(self) -> Tensor:
        """``[N, 3]`` m."""
        return self.body_pos[:, 0]

    @property
    def root_rot(self) -> Tensor:
        """``[N, 4]``."""
        return self.body_rot[:, 0]

    @property
    def root_vel(self) -> Tensor:
        """``[N, 3]`` m/s."""
        return self.body_vel[:, 0]

    @property
    def root_ang_vel(self) -> Tensor:
        """``[N, 3]`` rad/s."""
        return self.body_ang_vel[:, 0]


@attrs.frozen(kw_only=True, eq=False)
class Scene:
    """What is simulated: one character, `num_envs` copies, and the terrains they may stand on."""

    skeleton: Skeleton
    terrains: Sequence[Terrain]
    num_envs: int
    control_hz: float = 30.0
    #: what an environment does now, for messages: the name of its motion
    label: Callable[[int], str] | None = None


@attrs.frozen(kw_only=True, eq=False)
class Rollout:
    """K trajectories of H control steps, as a planning agent needs them."""

    root_pos: Tensor  # [K, H, 3] m
    root_rot: Tensor  # [K, H, 4]
    root_vel: Tensor  # [K, H, 3] m/s, world
    root_ang_vel: Tensor  # [K, H, 3] rad/s, world
    joint_rot: Tensor  # [K, H, J, 4]
    dof_vel: Tensor  # [K, H, D]
    finite: Tensor  # [K] bool


class Simulator(ABC):
    """Copies of one character that step together and never touch each other.

    Made with ``target(config, device=str, threads=int)``; then `build` once. A target with a parameter ``dumps`` gets a
    folder for what explains a divergence, of which it keeps a limited number of files there. Tensors are on `device`. A
    control step is one action held for 1 / `control_hz` s. Quaternions xyzw everywhere.

    The settings class has ``num_envs: int = setting(256, ge=1, help=...)``: how many copies a training runs side by
    side. A recording makes as many copies as it has motions.
    """

    #: those of `CAPABILITIES` that it has
    capabilities: frozenset[str] = frozenset()

    #: how many times a copy has diverged since `build`
    num_diverged: int = 0

    @abstractmethod
    def build(self, scene: Scene) -> None:
        """Make the copies; every env stands on terrain 0 until `set_terrains`."""

    @abstractmethod
    def set_terrains(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Put envs on terrains of the scene, at the terrains' own coordinates; reset the envs afterwards."""

    @abstractmethod
    def reset(self, env_ids: Tensor, state: CharacterState) -> None:
        """Put the envs ``[N]`` into the states; the others go on untouched.

        A copy whose state is not finite counts as diverged.
        """

    @abstractmethod
    def set_targets(self, dof_target: Tensor) -> None:
        """Targets of the position servos, held until changed: ``[num_envs, D]`` rad (exponential maps, angles)."""

    @abstractmethod
    def step(self, env_ids: Tensor | None = None) -> None:
        """One control step of every env, or of some, while the others stand still.

        A copy that diverges, or whose targets are not finite, stands still from then on and shows it in
        `BodyState.finite` until it is reset; the others go on, bit for bit as if nothing had happened.

        Args:
            env_ids: ascending and different, ``[N]``; None for all.
        """

    @abstractmethod
    def read(self) -> BodyState:
        """The state now (fresh tensors)."""

    def save_state(self, env_ids: Tensor) -> Any:
        """Opaque exact states of envs, to be handed to `rollout`. Capability "rollout"."""
        raise NotImplementedError

    def rollout(self, states: Any, copies: int, dof_targets: Tensor) -> Rollout:
        """Simulate `copies` copies of each saved state under target sequences, leaving the envs alone.

        Capability "rollout".

        Args:
            states: from `save_state` of M envs; each copy stands on its env's terrain.
            dof_targets: ``[M * copies, H, D]`` rad, copies of one state next to each other.

        Returns:
            A rollout with K = M * copies.
        """
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Give threads and memory back; may be called twice."""
