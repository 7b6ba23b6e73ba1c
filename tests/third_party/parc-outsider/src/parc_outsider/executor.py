"""Executor `threads`: jobs side by side in threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import attrs

from parc_core.config import setting
from parc_core.interfaces import Executor

__all__ = ["ThreadsConfig", "ThreadsExecutor"]


@attrs.frozen(kw_only=True)
class ThreadsConfig:
    """Settings of `threads`."""

    workers: int = setting(2, ge=1, help="Jobs that run at the same time.")


class ThreadsExecutor(Executor):
    """Results come in the order in which jobs finish."""

    def __init__(self, config: ThreadsConfig) -> None:
        self.config = config

    def map(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """(index, result) as jobs finish; the first exception cancels what has not begun."""
        with ThreadPoolExecutor(self.config.workers) as pool:
            futures = {pool.submit(function, job): index for index, job in enumerate(jobs)}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                for future in futures:
                    future.cancel()
