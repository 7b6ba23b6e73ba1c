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
    """An attempt that did not become a recording, and why."""

    agent: str  # provider name of the agent; empty where no attempt was possible
    start_s: float  # time in the motion at which the attempt started
    end_s: float  # time up to which the motion was followed
    reason: str  # a word or two, the same for equal causes, so that they can be counted
    text: str  # a sentence with numbers


@attrs.frozen(kw_only=True, eq=False)
class Recorded:
    """A motion, or a part of it, as it was simulated."""

    clip: MotionClip
    motion: str  # name of the reference
    agent: str  # provider name of the agent that tracked it
    start_fraction: float  # share of the reference at which the attempt started
    attempts: int  # number of attempts at this motion, this one included
    errors: dict[str, float]  # mean tracking errors
    execution: Execution  # start state and servo targets, for replays
    #: whole: from the first frame to the end; rest: from a later start to the end; partial: it ends before the end,
    #: or begins after its start, because the remainder was lost or had a flaw
    kept: Kept = "whole"
    misses: tuple[Miss, ...] = ()  # failed attempts before it


@attrs.frozen(kw_only=True, eq=False)
class RecordReport:
    """Every motion is either recorded or lost."""

    recorded: tuple[Recorded, ...]
    lost: dict[str, tuple[Miss, ...]]  # motion name -> every attempt, at least one entry


class Recorder(ABC):
    """Lets an agent follow every motion of an env, and keeps the simulated motions that succeeded.

    Made with ``target(config, skeleton=Skeleton, second_chance=Agent | None)``. The second agent gets the motions that
    the first one lost. Users choose it in the recorder's settings: where the settings class has a field
    ``second_chance: Use | None = setting(None, kind="agent", help=...)``, a run creates that agent; otherwise
    `second_chance` is None.

    A recorder may repeat a lost motion with the further attempts of an agent (``agent.escalate(1)`` up to
    ``agent.num_attempts - 1``) and leaves the agent in attempt 0. It plays motions with `parc_motion.playback.Playback`
    or a loop like it, reports its progress to ``ctx.progress`` and raises `Stopped` soon after ``ctx.should_stop()``.

    A data set of any size is recorded in chunks: `record` is called once per chunk, each with a new env, new agents and
    a checkpoint folder of the chunk, from which an interrupted `record` continues.
    """

    @abstractmethod
    def record(
        self, env: TrackerEnv, agent: Agent, clips: list[MotionClip], ctx: StageContext
    ) -> RecordReport:
        """Record the motions of the env.

        Args:
            clips: references of the env's motions, in their order; recordings keep their terrain, class and digest.
        """


def furthest(misses: Sequence[Miss]) -> Miss:
    """The attempt that followed the motion furthest; of equal ones the last."""
    return max(reversed(misses), key=lambda miss: miss.end_s)
