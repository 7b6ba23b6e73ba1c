"""Kind `metric_sink`: keeps numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import attrs

__all__ = ["MetricRecord", "MetricSink"]


@attrs.frozen
class MetricRecord:
    """One number of a run."""

    step: int
    name: str  # stage/group/quantity
    value: float


class MetricSink(ABC):
    """Takes numbers. Made with ``target(config, folder=Path)``, one per job."""

    @abstractmethod
    def write(self, records: Sequence[MetricRecord]) -> None:
        """Keep the records."""

    def close(self) -> None:
        """Flush; may be called twice."""
