"""Kind `tracker_env`: the imitation task, where characters follow reference motions."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from parc_core.interfaces.parallel import Parallel
from parc_core.interfaces.simulator import BodyState, Simulator
from parc_motion.errors import ShapeError
from parc_motion.playback import Done
from parc_motion.skeletons import Skeleton

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ActionSpec", "Done", "ObservationGroup", "Reference", "Snapshot", "Step", "TrackerEnv"]


@attrs.frozen(kw_only=True)
class ObservationGroup:
    """Consecutive numbers of the observation vector that belong together."""

    name: str
    size: int
    normalize: bool = True  # whether an agent's normalizer may shift and scale it
    description: str = ""  # what it shows, for people
    shape: tuple[int, ...] = ()  # rows and columns of numbers that are a picture, row by row; (): none

    def __attrs_post_init__(self) -> None:
        if self.shape and math.prod(self.shape) != self.size:
            raise ShapeError(
                f"observation group '{self.name}' has {self.size} numbers and shape {list(self.shape)}, which are "
                f"{math.prod(self.shape)}. Give it a shape of {self.size} numbers, or none."
            )


@attrs.frozen(kw_only=True, eq=False)
class ActionSpec:
    """What an action means."""

    lower: Tensor  # [A]
    upper: Tensor  # [A]
    kind: str  # e.g. "residual" or "absolute"; written into policies


@attrs.frozen(kw_only=True, eq=False)
class Reference:
    """The reference motion at some times, terrain coordinates of each motion."""

    root_pos: Tensor  # [N, 3] m
    root_rot: Tensor  # [N, 4]
    joint_rot: Tensor  # [N, J, 4]
    root_vel: Tensor  # [N, 3] m/s
    root_ang_vel: Tensor  # [N, 3] rad/s, world
    dof_vel: Tensor  # [N, D] rad/s
    contacts: Tensor  # [N, B]
    body_pos: Tensor  # [N, B, 3] m
    body_rot: Tensor  # [N, B, 4]


@attrs.frozen(kw_only=True, eq=False)
class Step:
    """What one control step gave."""

    obs: Tensor  # [N, O], of the new state; of the first state of the next episode where one ended and auto-reset is on
    reward: Tensor  # [N]
    done: Tensor  # [N] int8 `Done`
    final_obs: Tensor  # [N, O], of the state that the step ended in, before any reset
    errors: dict[str, Tensor]  # tracking errors of this step by name, [N] each
    reward_terms: dict[str, Tensor]  # [N] each, before weighting


@attrs.frozen(kw_only=True, eq=False)
class Snapshot:
    """One instant: simulated state and reference side by side."""

    motion_ids: Tensor  # [N] motion that each env follows
    motion_times: Tensor  # [N] s, time in it
    state: BodyState  # simulated, [N, ...]
    reference: Reference  # of the same instant, [N, ...]


class TrackerEnv(ABC):
    """Many characters, each following one motion of a set.

    Made with ``target(config, clips=Sequence[MotionClip], weights=ndarray [M], simulator=Simulator,
    num_envs=int, skeleton=Skeleton, rng=torch.Generator, device=str)``; it builds the simulator's scene itself.

    Two modes: after `reset` episodes start at sampled motions and times and restart by themselves (training); after
    `playback` each env follows the motion that it was given, without noise unless it is asked for, and stays where it
    ended (evaluation, recording, planning).

    `parc_testing.fake_env.FakeTrackerEnv` is a complete small environment, and
    `parc_testing.contracts.tracker_env.TrackerEnvContract` checks what this class promises.
    """

    #: methods of the class whose time `parc eval env` reports, and the part that their time counts for, e.g.
    #: ``{"_observe": "observation"}``; empty: the environment is measured as a whole, beside its simulator
    timed_parts: ClassVar[Mapping[str, str]] = {}
    #: whether several processes can train together, each on an environment like this; see `synchronize`
    data_parallel: ClassVar[bool] = False

    simulator: Simulator
    skeleton: Skeleton
    num_envs: int
    num_motions: int
    control_hz: float = 30.0  # control steps per second
    observation: tuple[ObservationGroup, ...]
    action: ActionSpec
    motion_names: tuple[str, ...]
    motion_ids: Tensor  # [N] motion that each env follows now
    motion_times: Tensor  # [N] s, time in it
    motion_lengths: Tensor  # [M] s
    active: Tensor  # [N] bool, follows a motion now: all after `reset`; after `playback` those that have not ended
    motion_classes: tuple[str, ...] = ()  # class of each motion ("": none), for reports; (): nothing is known

    @property
    def obs_size(self) -> int:
        """O."""
        return sum(group.size for group in self.observation)

    @property
    def motion_weights(self) -> Tensor:
        """How much each motion matters, ``[M]``, sums to 1: the weights it was made with; equal unless overridden."""
        import torch

        return torch.full((self.num_motions,), 1.0 / self.num_motions)

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """Smallest and largest reward of a step; None: not known. Agents bound their value estimates by it."""
        return None

    @abstractmethod
    def reset(self) -> Tensor:
        """Start a new episode everywhere, training mode; the observation ``[N, O]``."""

    @abstractmethod
    def playback(
        self, motion_ids: Tensor, start_times: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Put env i exactly on motion ``motion_ids[i]`` at ``start_times[i]`` s; the observation ``[N, O]``.

        Fewer ids than envs are allowed: the rest are idle (their `done` stays NULL and means nothing).

        Args:
            noise: where given, every start is perturbed as the perturbed starts of training are, with random numbers
                from this generator.
        """

    def set_joint_noise(self, joint_noise: float) -> None:
        """Perturbed starts of playbacks have this standard deviation per joint axis from now on, rad.

        An evaluation compares policies under equal noise, whatever they were trained with. An environment whose
        perturbed starts have no such parameter keeps this method, which changes nothing.
        """

    @abstractmethod
    def step(self, action: Tensor) -> Step:
        """One control step under actions ``[N, A]``."""

    @abstractmethod
    def read(self) -> BodyState:
        """The simulated state now, in the terrain coordinates of each env's motion."""

    @abstractmethod
    def reference(self, motion_ids: Tensor, times: Tensor) -> Reference:
        """The reference of motions at times (s, clamped to the motion)."""

    def snapshot(self) -> Snapshot:
        """The present instant of every env: simulated state and reference side by side."""
        return Snapshot(
            motion_ids=self.motion_ids.clone(),
            motion_times=self.motion_times.clone(),
            state=self.read(),
            reference=self.reference(self.motion_ids, self.motion_times),
        )

    def statistics(self) -> dict[str, Any]:
        """What ended since the last call, JSON values: episodes, their lengths, returns and errors, fail rates.

        Empty where an environment keeps none. `reset` and `playback` discard unfinished episodes.
        """
        return {}

    @abstractmethod
    def dof_target(self, action: Tensor) -> Tensor:
        """Servo targets that actions stand for in the present state of each env: ``[N, D]`` rad."""

    @abstractmethod
    def action_for(self, dof_target: Tensor) -> Tensor:
        """The actions that stand for servo targets now (`dof_target` inverted, unclipped): ``[N, A]``."""

    @abstractmethod
    def curriculum_state(self) -> dict[str, Any]:
        """Everything that training has changed in the env (fail rates, generator states), JSON values."""

    @abstractmethod
    def load_curriculum(self, state: dict[str, Any]) -> None:
        """Put back what `curriculum_state` gave; a set of other motions takes over those of equal names."""

    def synchronize(self, parallel: Parallel) -> None:
        """Combine what the environments of all processes have learned of the motions since the last call (fail rates).

        A training in several processes calls it before its first step and after each rollout. It is collective; with
        one process it changes nothing. Afterwards `curriculum_state` is the same in all processes up to the states of
        random generators. An environment with ``data_parallel = True`` that has no curriculum keeps this method.
        """

    def reseed(self, seed: int) -> None:
        """Use other random numbers from now on; called where ``data_parallel`` is true.

        Raises:
            NotImplementedError: the environment is not made for training in several processes.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it is seeded again")

    @abstractmethod
    def close(self) -> None:
        """Close the simulator; may be called twice."""
