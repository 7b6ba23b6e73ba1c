"""Kind `recorder`: turns tracked motions into new clips."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import attrs

from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import StageContext
from parc_core.interfaces.tracker_env import TrackerEnv
from parc_motion.clips import Execution, MotionClip

__all__ = ["Kept", "Miss", "RecordReport", "Recorded", "Recorder", "furthest"]

Kept = Literal["whole", "rest", "partial"]


@attrs.frozen(kw_only=True)
class Miss:
    """A try that did not become a recording, and why."""

    agent: str  # provider that tried; empty where nobody could
    start_s: float  # where in the motion the try began
    end_s: float  # up to where it was followed
    reason: str  # in a word or two, for counting
    text: str  # for people


@attrs.frozen(kw_only=True, eq=False)
class Recorded:
    """A motion, or a part of it, as physics carried it out."""

    clip: MotionClip
    motion: str  # name of the reference
    agent: str  # provider that tracked it
    start_fraction: float  # where in the reference the try began
    attempts: int
    errors: dict[str, float]  # mean tracking errors
    execution: Execution  # what the simulator was told, so that it can be told again
    #: whole: from the first frame to the end; rest: from a later start to the end; partial: it ends before the end,
    #: or begins after its start, because the remainder was lost or had a flaw
    kept: Kept = "whole"
    misses: tuple[Miss, ...] = ()  # tries before it


@attrs.frozen(kw_only=True, eq=False)
class RecordReport:
    """What became of every motion: it is in one of the two."""

    recorded: tuple[Recorded, ...]
    lost: dict[str, tuple[Miss, ...]]  # motion name -> every try, at least one entry


class Recorder(ABC):
    """Lets an agent follow every motion of an env and keeps what succeeded.

    Made with ``target(config, skeleton=Skeleton, second_chance=Agent | None)``. The second agent gets what the first
    one lost. A data set of any size is recorded in chunks: `record` is called once per chunk, each with an env, agents
    and checkpoints of its own.
    """

    @abstractmethod
    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """Record the motions of the env; `clips` are its references in order (terrain, class, digest to hand on)."""


def furthest(misses: Sequence[Miss]) -> Miss:
    """The try that says most about why a motion was not recorded: the one that came furthest, the later of equal."""
    return max(reversed(misses), key=lambda miss: miss.end_s)
