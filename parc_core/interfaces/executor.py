"""Kind `executor`: runs independent jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Executor"]


class Executor(ABC):
    """Runs jobs and gives results as they finish. Made with ``target(config)``."""

    @abstractmethod
    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index of the job, its result) as jobs finish; a job's exception is raised here."""
