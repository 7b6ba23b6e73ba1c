"""Kind `metric_sink`: stores or displays metrics."""

from __future__ import annotations

import pathlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = ["JobInfo", "MetricRecord", "MetricSink"]


@attrs.frozen(kw_only=True)
class JobInfo:
    """The job whose metrics a sink gets, and what it works with; all values are plain data."""

    run: str  # name of the run
    iteration: int  # counted from 1
    stage: str  # train_gen, train_tracker or phys_record
    name: str  # of the job within the run: the path of its folder, ``iter_001/p1_train_gen``
    folder: pathlib.Path  # where its files lie once it is finished; the same after every interruption
    run_folder: pathlib.Path  # for what is no result of the job, such as files that change after `close`
    settings: Mapping[str, Any]  # of the iteration: nested dicts, lists and scalars, as in an iteration file
    versions: Mapping[str, str]  # of the core and the plugins, by distribution


@attrs.frozen
class MetricRecord:
    """One value of one metric."""

    step: int  # of the job: samples of a tracker, updates of a generator, batches elsewhere; may repeat after a resume
    name: str  # stage/group/quantity, for instance tracker/loss/actor; times end in _s (seconds)
    value: float  # may be infinite or NaN: an unstable training reports what it has
    wall_time: float = attrs.field(factory=time.time)  # when it was reported, s since the epoch


class MetricSink(ABC):
    """Stores or displays metrics.

    Made with ``target(config, folder=Path)``, one per job; `folder` is the job's and exists. What lies in it after
    `close` is a result of the job, and must not change any more. A target with a parameter `job` also gets a `JobInfo`;
    give it a default, for callers outside of a run. A resumed job makes a new sink for the same folder, which continues
    what is there; its settings may have changed. All calls come from one thread.

    Besides what a stage reports, a run writes ``time/wall_s``: seconds of work on the job so far, over all attempts.
    `parc_testing.contracts.metric_sink.MetricSinkContract` checks an implementation.

    >>> class CsvSink(MetricSink):
    ...     def __init__(self, config, *, folder):
    ...         self.file = open(folder / "metrics.csv", "a")
    ...     def write(self, records):
    ...         self.file.writelines(f"{r.step},{r.name},{r.value}\\n" for r in records)
    ...         self.file.flush()
    ...     def close(self):
    ...         self.file.close()
    """

    @abstractmethod
    def write(self, records: Sequence[MetricRecord]) -> None:
        """Store records, so that they survive a kill right after the call; an empty sequence is allowed.

        A value that is not finite must not raise: it would end the run that it describes.
        """

    def close(self) -> None:
        """Flush and release what is open; may be called twice."""
