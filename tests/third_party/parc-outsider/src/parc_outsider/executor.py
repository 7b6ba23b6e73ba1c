"""Executor `threads`: jobs side by side in threads of this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

import attrs

from parc_core.config import setting
from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec

__all__ = ["ThreadsConfig", "ThreadsExecutor"]


@attrs.frozen(kw_only=True)
class ThreadsConfig:
    """Settings of `threads`."""

    workers: int = setting(2, ge=1, help="Jobs that run at the same time.")


class ThreadsExecutor(Executor):
    """Results come in the order in which jobs finish."""

    def __init__(self, config: ThreadsConfig) -> None:
        self.config = config

    def run(self, jobs: Sequence[JobSpec], ctx: ExecutorContext) -> Iterator[tuple[int, JobResult]]:
        """(index, how it ended) as jobs end."""

        def work(job: JobSpec) -> JobResult:
            return JobResult(state="stopped", error="stopped") if ctx.should_stop() else ctx.run_here(job)

        with ThreadPoolExecutor(self.config.workers) as pool:
            futures = {pool.submit(work, job): index for index, job in enumerate(jobs)}
            for future in as_completed(futures):
                yield futures[future], future.result()
