"""Kind `recorder`: turns tracked motions into new clips."""

from __future__ import annotations

from abc import ABC, abstractmethod

import attrs

from parc_core.data.clip import MotionClip
from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import StageContext
from parc_core.interfaces.tracker_env import TrackerEnv

__all__ = ["RecordReport", "Recorded", "Recorder"]


@attrs.frozen(kw_only=True, eq=False)
class Recorded:
    """One motion as physics carried it out."""

    clip: MotionClip
    motion: str  # name of the reference
    agent: str  # provider that tracked it
    start_fraction: float  # where in the reference it starts
    attempts: int
    errors: dict[str, float]  # mean tracking errors


@attrs.frozen(kw_only=True, eq=False)
class RecordReport:
    """What became of every motion."""

    recorded: tuple[Recorded, ...]
    lost: dict[str, str]  # motion name -> why it was not recorded


class Recorder(ABC):
    """Lets an agent follow every motion of an env and keeps what succeeded.

    Made with ``target(config, skeleton=Skeleton, second_chance=Agent | None)``. The second agent gets what the first
    one lost.
    """

    @abstractmethod
    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """Record the motions of the env; `clips` are its references in order (terrain, class, digest to hand on)."""
