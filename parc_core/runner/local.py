"""Executor `local`: one job after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from parc_core.interfaces import Executor

__all__ = ["LocalConfig", "LocalExecutor"]


@attrs.frozen(kw_only=True)
class LocalConfig:
    """The local executor has no settings."""


class LocalExecutor(Executor):
    """Runs jobs in the order given, each when the one before has been taken; nothing runs ahead of the caller."""

    def __init__(self, config: LocalConfig) -> None:
        self.config = config

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index, result) in the order of the jobs; a job's exception is raised in its turn."""
        for index, job in enumerate(jobs):
            yield index, function(job)
