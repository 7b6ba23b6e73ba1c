"""What a stage gives to a provider that works for long: where to keep things, whom to tell, what to draw from."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Protocol

import attrs

from parc_core.interfaces.parallel import Parallel
from parc_core.interfaces.seeds import SeedStreams
from parc_motion.stopping import Stopped
from parc_motion.storage import CheckpointStore

__all__ = ["Metrics", "Progress", "StageContext", "Stopped"]


class Metrics(Protocol):
    """Where numbers go."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Record values by name, `stage/group/quantity`, e.g. ``tracker/reward/root_pos``."""


class Progress(Protocol):
    """Whom to tell how far the work is."""

    def update(self, done: float, total: float, note: str = "") -> None:
        """Say how far, out of how much, and one short remark."""


@attrs.frozen(kw_only=True)
class StageContext:
    """Handed to `Generator.fit`, `Agent.train` and `Recorder.record`.

    A long loop calls `should_stop` at each safe point; when it is true it writes a checkpoint and raises `Stopped`.
    Loops that have no context, or nothing to keep, call `parc_core.interfaces.stop_point`.
    With several processes it is collective: all of them call it equally often, and get the same answer.
    """

    folder: pathlib.Path  # the job's working folder: what lies in it at the end is the job's output
    checkpoints: CheckpointStore
    cache: pathlib.Path  # for what can be computed again, e.g. `cached_clips`; may be deleted at any time
    seeds: SeedStreams
    metrics: Metrics
    progress: Progress
    threads: int = 1  # torch and simulator threads that this job may use
    should_stop: Callable[[], bool] = lambda: False
    parallel: Parallel = attrs.field(factory=Parallel)  # the processes that train together
