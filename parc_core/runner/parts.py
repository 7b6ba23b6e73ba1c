"""The independent jobs of a stage, handed to its executor."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import attrs

from parc_core.config import Use
from parc_core.interfaces import Executor, ExecutorContext, JobResult, JobSpec, Stopped
from parc_core.runner.outcome import error_of, outcome_of
from parc_core.runner.transport import import_result, pack
from parc_core.stages.content import provider_modules
from parc_core.stages.context import RunContext
from parc_core.stages.parts import is_finished, run_job

__all__ = ["run_parts", "warm_up"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 2.0  # at jobs that other processes work on


def run_parts(run: RunContext, use: Use | None, jobs: Sequence[JobSpec]) -> None:
    """Carry out jobs that do not depend on each other, by the executor that is chosen; finished ones are skipped.

    Args:
        use: the executor, or None for the run's.

    What another process works on is left to it; this one waits until it is done, or does it if the other one ends.

    Raises:
        Stopped: the user asked to stop.
        JobFailed: jobs failed; all others were carried out before.
    """
    waiting, told = [job for job in jobs if not is_finished(run, job)], set[str]()
    if not waiting:
        return
    executor: Executor = run.registry.create("executor", use or run.config.executor)
    board = _Board(run, len(waiting))
    while waiting:
        held, failures, stopped = [], [], False
        for index, result in executor.run(waiting, board.context()):
            job = waiting[index]
            if result.state == "finished":
                board.finish(job)
            elif result.state == "held":
                held.append(job)
                if job.name not in told:
                    told.add(job.name)
                    run.reporter.message(job.stage, f"{result.error} Left to it.")
            elif result.state in ("failed", "lost"):
                failures.append((job.name, result))
                log.error("%s: %s", job.name, result.error)
            else:
                stopped = True
        if stopped or run.should_stop():
            raise Stopped
        if failures:
            raise error_of(failures)
        waiting = held
        if waiting:
            time.sleep(_LOOK_AGAIN_S)


def warm_up(run: RunContext, use: Use | None, jobs: int) -> None:
    """Let the executor of jobs that will come later prepare for them; what it lacks, a package say, is told now.

    Args:
        jobs: how many there will be, as far as that is known.

    Raises:
        ParcError: it cannot be used.
    """
    run.registry.create("executor", use or run.config.executor).warm_up(jobs, _Board(run, jobs).context())


@attrs.define
class _Board:
    """Progress of many jobs as progress of their stage: finished ones, and the shares of those at work."""

    run: RunContext
    total: int
    finished: int = 0
    shares: dict[str, float] = attrs.field(factory=dict)

    def context(self) -> ExecutorContext:
        run = self.run
        return ExecutorContext(
            run_here=self._run_here,
            update=self._update,
            message=lambda text: run.reporter.message("executor", text),
            should_stop=run.should_stop,
            pack=lambda job: pack(run, job.stage, job.part or 0),
            unpack=lambda result: log.info("taken over: %s", import_result(run.run_folder.path, result)),
            threads=run.threads,
            device=run.device,
            modules=provider_modules(run.registry, run.config),
        )

    def finish(self, job: JobSpec) -> None:
        self.shares.pop(job.name, None)
        self.finished += 1
        self.run.reporter.update(job.stage, self.finished, self.total, f"{job.name} done")

    def _run_here(self, job: JobSpec) -> JobResult:
        reporter = _OfJob(self, job)
        run = attrs.evolve(self.run, reporter=reporter)
        return outcome_of(lambda: run_job(run, job), job.name)

    def _update(self, job: JobSpec, done: float, total: float, note: str) -> None:
        self.shares[job.name] = min(done / total, 1.0) if total > 0 else 0.0
        done = round(self.finished + sum(self.shares.values()), 2)
        self.run.reporter.update(job.stage, done, self.total, note)


@attrs.frozen
class _OfJob:
    """The reporter of a job that is carried out in this process."""

    board: _Board
    job: JobSpec

    def message(self, stage: str, text: str) -> None:
        self.board.run.reporter.message(stage, text)

    def update(self, stage: str, done: float, total: float, note: str) -> None:
        self.board._update(self.job, done, total, note)
