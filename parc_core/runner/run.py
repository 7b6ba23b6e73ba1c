"""`parc run`: carry out an iteration file, or continue a run folder."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from parc_core.config import IterationConfig, dump_yaml
from parc_core.errors import ConfigError, StageFailed
from parc_core.interfaces import RunFolder, Stopped
from parc_core.plugins import Registry
from parc_core.runner.checks import check_files
from parc_core.runner.contexts import contexts, device_name, prepare, set_torch_threads
from parc_core.runner.logs import run_log
from parc_core.runner.manifest import write_manifest
from parc_core.runner.parts import run_parts
from parc_core.runner.plan import ALL, STAGES, longer_training, plan, replaced
from parc_core.runner.presence import alone, presence
from parc_core.runner.report import collect
from parc_core.runner.stop import StopFlag
from parc_core.stages import inputs, kin_gen, parts, phys_record, train_gen, train_tracker
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.group import Group, leave, under_torchrun
from parc_core.stages.job import JobRecord, set_aside
from parc_motion import storage
from parc_motion.clips import MotionDataset
from parc_motion.errors import ParcError, RunLocked

__all__ = ["run_file"]

log = logging.getLogger(__name__)

_ORPHANS_END_S = 5.0
_LOOK_AGAIN_S = 1.0  # at a job that another process works on


def run_file(
    path: pathlib.Path,
    *,
    overrides: tuple[str, ...] = (),
    only: str | None = None,
    batch: int | None = None,
    resume: bool = False,
    iterations: int | None = None,
    redo: str | None = None,
    dry_run: bool = False,
    reporter: Reporter,
) -> dict[str, Any]:
    """Run an iteration file, or continue the run in a folder; what is finished is skipped.

    Changed settings hold from the first unfinished job on; the log says which finished jobs were made with others. Any
    number of processes and machines that see the folder may run it: each takes jobs that no other works on, and waits
    for those that it needs.

    Args:
        path: an iteration file, or a run folder (its `config.yaml` is taken).
        overrides: ``key=value`` texts that change single settings.
        only: run just this stage of the (last) iteration.
        batch: with ``only="kin_gen"``: run just this batch, counted from 0.
        resume: refuse to begin a new run; continue an existing one.
        iterations: how many iterations, instead of the file's number; kept in the run folder.
        redo: make finished work again: this stage and those after it in the last iteration, "inputs" alone, or "all";
            what it replaces is kept in `superseded`.
        dry_run: say what would be done, and do nothing.

    Returns:
        The report of the run (`parc_core.runner.report.collect`); for a dry run, the plan.

    Raises:
        ConfigError: the file or an override is wrong.
        RunLocked: settings are to change, or work is to be made again, while other processes work in the run folder; or
            another process works on the batch.
        StageFailed: a stage raised something that is not a `ParcError`.
    """
    registry = Registry.discover()
    config, folder = prepare(path, overrides, registry, resume)
    if iterations is not None:
        config = attrs.evolve(config, iterations=iterations)
    _check_choice(only, batch, config)
    _check_redo(redo)
    world_size = int(os.environ["WORLD_SIZE"]) if under_torchrun(os.environ) else 1
    device = None if dry_run else device_name(config.device)
    for number in (1, *config.from_):
        _check_processes(config.at(number), registry, only, world_size, device)

    if dry_run:
        return plan(contexts(config, registry, folder, reporter), redo)
    with presence(folder) as others, StopFlag() as stop, run_log(RunFolder(folder).log):
        with alone(folder):
            runs = contexts(config, registry, folder, reporter, stop)
            again = frozenset(replaced(runs, redo))
            check_files(
                [attrs.evolve(run, gone=again) for run in (runs if only is None else runs[-1:])], only
            )
            set_torch_threads(config.torch_threads)
            kept = _KeptConfig(RunFolder(folder))
            if redo is not None or kept.text != dump_yaml(config):
                _check_alone(others, folder, redo)
            if not others():
                storage.sweep(folder)
            _write_config(config, folder)
            _set_aside(runs, redo)
            write_manifest(
                folder,
                registry,
                config,
                runs[0].device,
                {"simulator": runs[0].threads, "torch": runs[0].torch_threads},
            )
        try:
            group = None if world_size == 1 else Group.of_torchrun(runs[0].device, stop)
            runs = [attrs.evolve(run, group=group) for run in runs]
            for run in runs if only is None else runs[-1:]:
                _Iteration(run).run(only, batch)
            if group is not None:
                group.post(None)
                leave()
        except Stopped as stopped:
            reporter.message("run", f"stopped; continue with: parc run {folder}")
            stopped.exit_code = stop.exit_code
            raise
        except Exception:
            if not others() and kept.restore():
                reporter.message(
                    "run", f"{folder}: nothing was finished with the new settings, they are not kept"
                )
            raise
        report = collect(folder)
        storage.write_json(RunFolder(folder).report, report)
    return report


@attrs.define
class _Iteration:
    """One iteration: the stages in order, with events and hooks around each job."""

    run_context: RunContext

    def run(self, only: str | None, batch: int | None) -> None:
        run = self.run_context
        self._job(inputs.STAGE, lambda: self._waiting(inputs.STAGE, inputs.import_inputs))
        dataset = inputs.iteration_dataset(run)
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
            records = work()
        except Stopped:
            log.debug("iteration %d, %s: stopped", run.iteration, stage)
            raise
        except Exception as err:
            log.debug("iteration %d, %s: failed", run.iteration, stage, exc_info=err)
            self._event("failed", stage, error=f"{type(err).__name__}: {err}")
            run.registry.call_lifecycle("parc_stage_failed", stage=stage, error=str(err))
            command = f"parc run {run.run_folder.path}"
            if isinstance(err, ParcError):
                run.reporter.message(stage, f"failed; when the cause is gone, continue with: {command}")
                raise
            raise StageFailed(
                f"{stage} failed in {run.folder.path}: {type(err).__name__}: {err}. "
                f"Continue with: {command}  (--debug shows where it failed)"
            ) from err
        seconds = time.monotonic() - started
        for record in records if isinstance(records, list) else [records]:
            self._event("finished", stage, summary=record.summary, seconds=round(seconds, 3))
            run.registry.call_lifecycle(
                "parc_stage_finished", stage=stage, folder=str(run.folder.path), summary=record.summary
            )
            line = _one_line(record, seconds)
            log.debug("iteration %d, %s: finished  %s", run.iteration, stage, line)
            run.reporter.message(stage, line)

    def _next_dataset(self) -> None:
        """The data set that the next iteration will start from: the inputs plus everything recorded so far."""
        inputs.iteration_dataset(attrs.evolve(self.run_context, iteration=self.run_context.iteration + 1))

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


def _check_processes(
    config: IterationConfig, registry: Registry, only: str | None, world_size: int, device: str | None
) -> None:
    """Refuse what no training could begin with, and processes of torchrun that would have nothing to do."""
    trainings = {train_gen.STAGE: train_gen.check, train_tracker.STAGE: train_tracker.check}
    wanted = [stage for stage in trainings if only in (None, stage)]
    if world_size > 1 and not wanted:
        raise ConfigError(
            f"--only {only} trains nothing, but torchrun has started {world_size} processes. Start it without torchrun."
        )
    for stage in wanted:
        trainings[stage](config, registry, device, world_size)


def _check_choice(only: str | None, batch: int | None, config: IterationConfig) -> None:
    if only is not None and only not in STAGES:
        raise ConfigError(f"--only {only}: no such stage. Stages: {', '.join(STAGES)}.")
    if batch is None:
        return
    if only != kin_gen.STAGE:
        raise ConfigError("--batch chooses a batch of kin_gen; give --only kin_gen with it.")
    batches = config.at(config.iterations).kin_gen.batches
    if not 0 <= batch < batches:
        raise ConfigError(f"--batch {batch}: kin_gen has batches 0..{batches - 1}.")


def _check_alone(others: Callable[[], list[str]], folder: pathlib.Path, redo: str | None) -> None:
    """Refuse to change what others work with; workers of a run that was just killed get the time to end."""
    until = time.monotonic() + _ORPHANS_END_S
    while (found := others()) and time.monotonic() < until:
        time.sleep(0.1)
    if found:
        what = f"--redo {redo}" if redo is not None else "other settings"
        raise RunLocked(
            f"{folder}: {what} cannot be used while others work here: {'; '.join(found)}. Stop them first, or run "
            "without changes: then the work is shared."
        )


class _KeptConfig:
    """The configuration of a run before this start, and the folders that its jobs had by then."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.text = run.config.read_text() if run.exists else None
        self.folders = self._folders()

    def restore(self) -> bool:
        """Write it back if it was changed and no job has been begun or finished since; whether that is so."""
        if self.text is None or self.run.config.read_text() == self.text or self._folders() != self.folders:
            return False
        storage.write_text(self.run.config, self.text)
        return True

    def _folders(self) -> set[tuple[pathlib.Path, int]]:
        """Folders of finished and begun jobs, with their inodes."""
        found = self.run.input_folders()
        for iteration in self.run.iterations():
            found += [*iteration.path.iterdir(), *iteration.kin_gen.glob("*")]
        return {(path, path.stat().st_ino) for path in found if path.is_dir()}


def _check_redo(redo: str | None) -> None:
    choices = (inputs.STAGE, *STAGES, ALL)
    if redo is not None and redo not in choices:
        raise ConfigError(f"--redo {redo}: no such stage. Give one of {', '.join(choices)}.")


def _set_aside(runs: Sequence[RunContext], redo: str | None) -> None:
    """Move what `redo` replaces into `superseded`; a training that is only to be longer goes on from its last state."""
    training = longer_training(runs, redo)
    for folder in replaced(runs, redo):
        if folder.exists():
            moved = set_aside(folder, runs[-1].run_folder.superseded)
            if training is not None and folder == training.folder:
                earlier = moved
    if training is not None:
        with training.held():
            training.begin_from(earlier)


def _write_config(config: IterationConfig, folder: pathlib.Path) -> None:
    text = dump_yaml(config)
    path = RunFolder(folder).config
    if not path.is_file() or path.read_text() != text:
        storage.write_text(path, text)


def _one_line(record: JobRecord, seconds: float) -> str:
    summary = record.summary
    parts = [f"{summary.get('in', '?')} in, {summary.get('out', '?')} out"]
    rejected = ", ".join(f"{count} {reason}" for reason, count in summary.get("rejected", {}).items())
    if rejected:
        parts.append(f"({rejected})")
    parts.append("finished before" if seconds < 0.5 and record.wall_s > 1.0 else f"{seconds:.1f} s")
    return "  ".join(parts)
