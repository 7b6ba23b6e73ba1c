"""Kind `metric_sink`: stores or displays metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

__all__ = ["MetricRecord", "MetricSink"]


@attrs.frozen
class MetricRecord:
    """One value of one metric."""

    step: int  # of the job: samples of a tracker, updates of a generator, batches elsewhere; may repeat after a resume
    name: str  # stage/group/quantity, for instance tracker/loss/actor; times end in _s (seconds)
    value: float  # may be infinite or NaN: an unstable training reports what it has


class MetricSink(ABC):
    """Stores or displays metrics.

    Made with ``target(config, folder=Path)``, one per job; `folder` is the job's and exists. A resumed job makes a new
    sink for the same folder, which continues what is there. All calls come from one thread.
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
