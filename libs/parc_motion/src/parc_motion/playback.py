"""The playback loop: an agent follows motions from given starts, each until its end or its loss.

Evaluation, survival, the recorder and benchmarks run this one loop and look at what they need:

>>> playback = Playback(env, agent, motion_ids, start_times)
>>> for step in playback:
...     worst = torch.maximum(worst, step.errors["root_pos"][: playback.count])
>>> playback.success.float().mean()
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from parc_motion.errors import DataError
from parc_motion.stopping import stop_point

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Playback", "PlaybackAgent", "PlaybackEnv", "PlaybackStep"]


class Done(enum.IntEnum):
    """Why an episode ended; public as `parc_core.interfaces.Done`."""

    NULL = 0  # it goes on
    FAIL = 1  # lost the reference
    SUCCESS = 2  # reached the end of the reference
    TIMEOUT = 3  # episode length over


class PlaybackStep(Protocol):
    """What one control step of an environment gives."""

    @property
    def obs(self) -> Tensor:
        """``[N, O]``."""

    @property
    def done(self) -> Tensor:
        """``[N]`` `Done`."""

    @property
    def errors(self) -> Mapping[str, Tensor]:
        """Tracking errors by name, ``[N]`` each."""


StepT = TypeVar("StepT", bound=PlaybackStep, covariant=True)


class PlaybackEnv(Protocol[StepT]):
    """What a playback needs of an environment; every `TrackerEnv` is one."""

    motion_names: tuple[str, ...]

    @property
    def motion_times(self) -> Tensor:
        """``[N]`` s, time of each environment in its motion."""

    def playback(
        self, motion_ids: Tensor, start_times: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Put env i on motion ``motion_ids[i]`` at ``start_times[i]`` s; the observation ``[N, O]``."""

    def step(self, action: Tensor) -> StepT:
        """One control step under actions ``[N, A]``."""


class PlaybackAgent(Protocol):
    """What a playback needs of an agent; every `Agent` is one."""

    def start(self, env: Any) -> None:
        """A playback begins."""

    def act(self, env: Any, obs: Tensor, deterministic: bool = True) -> Tensor:
        """Actions ``[N, A]`` for observations ``[N, O]``."""


class Playback(Generic[StepT]):
    """K motions followed side by side, deterministically; iterating over it plays them to their ends.

    An environment that has ended stands still until the last one has; its rows of later steps mean nothing, see
    `moved`.
    """

    def __init__(
        self,
        env: PlaybackEnv[StepT],
        agent: PlaybackAgent,
        motion_ids: Tensor,
        start_times: Tensor,
        *,
        noise: torch.Generator | None = None,
        at_start: Callable[[], None] | None = None,
    ) -> None:
        """Put the environment on the starts.

        Args:
            motion_ids: ``[K]``, at most as many as the environment has copies.
            start_times: ``[K]`` s.
            noise: perturbs the starts; see `TrackerEnv.playback`.
            at_start: called when the environment is on the starts, before the agent is told of the playback.
        """
        import torch

        self._env, self._agent = env, agent
        self.count = len(motion_ids)  # K
        self._motion_ids = motion_ids
        self._obs = env.playback(motion_ids, start_times, noise)
        if at_start is not None:
            at_start()
        agent.start(env)
        self.running = start_times.new_ones(self.count, dtype=torch.bool)  # [K] not ended yet
        self.moved = torch.zeros_like(self.running)  # [K] took part in the last control step
        self.success = torch.zeros_like(self.running)  # [K] reached the end of their motion
        self.num_steps = torch.zeros_like(self.running, dtype=torch.long)  # [K] control steps so far
        self.times = start_times.clone()  # [K] s, up to where they were followed

    def __iter__(self) -> Iterator[StepT]:
        """Control steps until every motion has ended."""
        while bool(self.running.any()):
            yield self.step(self.act())

    def act(self) -> Tensor:
        """The agent's actions ``[N, A]`` for the present observation.

        Raises:
            DataError: an action is not finite: the policy is unusable.
            Stopped: this process was asked to stop.
        """
        import torch

        stop_point()

        with torch.no_grad():
            action = self._agent.act(self._env, self._obs, deterministic=True)
        sound = torch.isfinite(action[: self.count]).all(dim=-1) | ~self.running
        if not bool(sound.all()):
            raise DataError(self._unusable(int(sound.long().argmin())))
        return action

    def _unusable(self, row: int) -> str:
        """What to say of an action that is not finite."""
        import torch

        bad = int((~torch.isfinite(self._obs[row])).sum())
        name = getattr(self._agent, "name", "") or type(self._agent).__name__
        motion = self._env.motion_names[int(self._motion_ids[row])]
        return (
            f"agent '{name}': its action for motion '{motion}' at {float(self.times[row]):.2f} s is not finite; "
            f"{bad} of {len(self._obs[row])} numbers of the observation are not. The policy is unusable: train it "
            "again, or use an earlier one."
        )

    def step(self, action: Tensor) -> StepT:
        """One control step under actions ``[N, A]``."""
        import torch

        with torch.no_grad():
            step = self._env.step(action)
        self._obs, done = step.obs, step.done[: self.count]
        self.moved = self.running
        self.num_steps = self.num_steps + self.moved
        self.times = torch.where(self.moved, self._env.motion_times[: self.count], self.times)
        self.success = self.success | (self.moved & (done == int(Done.SUCCESS)))
        self.running = self.moved & (done == int(Done.NULL))
        return step
