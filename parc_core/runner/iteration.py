"""The jobs of one iteration, carried out in order."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from typing import Any

import attrs

from parc_core.errors import ConfigError, StageFailed, describe_error, error_text
from parc_core.interfaces import Stopped
from parc_core.runner.logs import run_log
from parc_core.runner.outcome import is_out_of_memory
from parc_core.runner.parts import run_parts, warm_up
from parc_core.stages import inputs, kin_gen, parts, phys_record, train_gen, train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.faults import guarded
from parc_core.stages.record import JobRecord, read_record
from parc_motion import storage
from parc_motion.clips import MotionDataset
from parc_motion.errors import ParcError, StorageError

__all__ = ["IterationJobs"]

log = logging.getLogger(__name__)

_SIZES = {  # stage -> the settings that set how much memory it takes
    inputs.STAGE: "the number of clips of a source in dataset",
    train_gen.STAGE: "batch_size and width of train_gen.generator",
    kin_gen.STAGE: "kin_gen.candidates or the size of kin_gen.terrain",
    train_tracker.STAGE: "train_tracker.simulator.num_envs, or batch_size and steps_per_iter of train_tracker.agent",
    phys_record.STAGE: "phys_record.chunk",
}
_LOOK_AGAIN_S = 1.0  # at a job that another process works on


@attrs.define
class IterationJobs:
    """One iteration: the stages in order, with events and hooks around each job."""

    run_context: RunContext

    def prepare(self) -> None:
        """Make what the iteration needs before its first training: the inputs, the data set, the trainings' caches."""
        run = self.run_context
        dataset = self._dataset()
        for stage in (train_gen, train_tracker):
            stage.prepare(run, dataset)

    def run(self, only: str | None, batch: int | None) -> None:
        """Carry out every stage, or one, or one batch of `kin_gen`; what is finished is skipped."""
        run = self.run_context
        if only is None and read_record(run.folder.train_gen) is None:
            made, recorded = run.config.kin_gen, run.config.phys_record
            motions = made.batches * made.motions_per_batch * made.keep
            # what an executor lacks is an error now, and not after hours of training
            warm_up(run, made.executor, made.batches)
            warm_up(run, recorded.executor, math.ceil(motions / recorded.chunk))
        dataset = self._dataset()
        if only in (None, train_gen.STAGE):
            self._job(train_gen.STAGE, lambda: self._waiting(train_gen.STAGE, train_gen.run_stage, dataset))
        if only in (None, kin_gen.STAGE):
            self._job(kin_gen.STAGE, lambda: self._batches(batch))
        if only in (None, train_tracker.STAGE):
            self._job(
                train_tracker.STAGE,
                lambda: self._waiting(train_tracker.STAGE, train_tracker.run_stage, dataset),
            )
        if only in (None, phys_record.STAGE):
            self._job(phys_record.STAGE, lambda: self._recordings(dataset))
            self._next_dataset()
            storage.remove(run.run_folder.cache)  # the next iteration learns from other clips
            run.registry.call_lifecycle(
                "parc_iteration_finished", iteration=run.iteration, folder=str(run.folder.path)
            )

    def _dataset(self) -> MotionDataset:
        self._job(inputs.STAGE, lambda: self._waiting(inputs.STAGE, inputs.import_inputs))
        return inputs.iteration_dataset(self.run_context)

    def _batches(self, batch: int | None) -> list[JobRecord]:
        run = self.run_context
        jobs = parts.batches(run)
        if batch is not None and batch >= len(jobs):
            raise ConfigError(f"--batch {batch}: iteration {run.iteration} has batches 0..{len(jobs) - 1}.")
        jobs = jobs if batch is None else jobs[batch : batch + 1]
        if batch is None:
            run_parts(run, run.config.kin_gen.executor, jobs)
        return [parts.run_job(run, job) for job in jobs]

    def _recordings(self, dataset: MotionDataset) -> JobRecord:
        run = self.run_context
        run_parts(run, run.config.phys_record.executor, parts.chunks(run, dataset))
        return phys_record.run_stage(run, dataset)

    def _waiting(self, stage: str, work: Callable[..., Any], *arguments: Any) -> Any:
        """`work`; where another process does it already, wait until that one has finished or is gone."""
        run, told = self.run_context, False
        while True:
            try:
                return work(run, *arguments)
            except storage.Held as held:
                if not told:
                    run.reporter.message(stage, f"{held} Waiting for it.")
                told = True
            if run.should_stop():
                raise Stopped
            time.sleep(_LOOK_AGAIN_S)

    def _job(self, stage: str, work: Callable[[], JobRecord | list[JobRecord]]) -> None:
        run = self.run_context
        if run.should_stop():
            self._event_after_fault("stopped", stage)
            raise Stopped
        with run_log(run.run_folder.stage_log(stage, run.iteration)):
            self._logged_job(stage, work)

    def _logged_job(self, stage: str, work: Callable[[], JobRecord | list[JobRecord]]) -> None:
        run = self.run_context
        log.debug("iteration %d, %s: started", run.iteration, stage)
        self._event("started", stage)
        run.registry.call_lifecycle("parc_stage_started", stage=stage, folder=str(run.folder.path))
        started = time.monotonic()
        try:
            records = guarded(run.config, work)
        except Stopped:
            log.debug("iteration %d, %s: stopped", run.iteration, stage)
            self._event_after_fault("stopped", stage)
            raise
        except Exception as err:
            self._tell_of_failure(stage, err)
            if isinstance(err, ParcError):
                raise
            raise self._stage_failed(stage, err) from err
        seconds = time.monotonic() - started
        for record in records if isinstance(records, list) else [records]:
            self._event("finished", stage, summary=record.summary, seconds=round(seconds, 3))
            run.registry.call_lifecycle(
                "parc_stage_finished", stage=stage, folder=str(run.folder.path), summary=record.summary
            )
            line = _one_line(record, seconds)
            log.debug("iteration %d, %s: finished  %s", run.iteration, stage, line)
            run.reporter.message(stage, line)

    def _tell_of_failure(self, stage: str, err: Exception) -> None:
        """Log, event, hooks and a line for the user; none of them hides the error itself."""
        run = self.run_context
        log.debug("iteration %d, %s: failed", run.iteration, stage, exc_info=err)
        self._event_after_fault("failed", stage, error=describe_error(err))
        run.registry.call_lifecycle("parc_stage_failed", stage=stage, error=error_text(err))
        if isinstance(err, ParcError):
            run.reporter.message(stage, f"failed; when the cause is gone, continue with: {self._command}")

    def _stage_failed(self, stage: str, err: Exception) -> StageFailed:
        """The error for the user; what is wrong with a size is said by the settings that set it."""
        run = self.run_context
        text = f"{stage} failed in {run.folder.path}: {describe_error(err)}."
        if is_out_of_memory(err):
            text += f" It ran out of memory. Lower {_SIZES[stage]}."
        return StageFailed(f"{text} Continue with: {self._command}  (--debug shows where it failed)")

    @property
    def _command(self) -> str:
        return f"parc run {self.run_context.run_folder.path}"

    def _next_dataset(self) -> None:
        """The data set that the next iteration will start from: the inputs plus everything recorded so far."""
        inputs.iteration_dataset(attrs.evolve(self.run_context, iteration=self.run_context.iteration + 1))

    def _event_after_fault(self, event: str, stage: str, **fields: Any) -> None:
        """An event that cannot be written does not hide why the stage ended."""
        try:
            self._event(event, stage, **fields)
        except StorageError as err:
            log.debug("iteration %d, %s: %s", self.run_context.iteration, stage, err)
            self.run_context.reporter.message(stage, f"the event '{event}' was not written: {err}")

    def _event(self, event: str, stage: str, **fields: Any) -> None:
        line = {
            "time": round(time.time(), 3),
            "iteration": self.run_context.iteration,
            "event": event,
            "stage": stage,
            **fields,
        }
        storage.append_line(
            self.run_context.run_folder.events, json.dumps(line, allow_nan=False, default=str)
        )


def _one_line(record: JobRecord, seconds: float) -> str:
    summary = record.summary
    parts = [f"{summary.get('in', '?')} in, {summary.get('out', '?')} out"]
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary.get("rejected", {}).items())
    if rejected:
        parts.append(f"({rejected})")
    parts.append("finished before" if seconds < 0.5 and record.wall_s > 1.0 else f"{seconds:.1f} s")
    return "  ".join(parts)
