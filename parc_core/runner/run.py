"""`parc run`: carry out an iteration file, or continue a run folder."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import attrs

from parc_core.config import StageFile, load_iteration, read_stage_file
from parc_core.errors import ConfigError
from parc_core.interfaces import RunFolder, Stopped
from parc_core.plugins import Registry
from parc_core.runner.checks import check_choice, check_files, check_processes, check_redo
from parc_core.runner.contexts import contexts, device_name, prepare, set_torch_threads
from parc_core.runner.iteration import IterationJobs
from parc_core.runner.logs import run_log
from parc_core.runner.manifest import write_manifest
from parc_core.runner.plan import plan, redo_scope, replaced
from parc_core.runner.presence import alone, presence
from parc_core.runner.redo import set_aside_replaced
from parc_core.runner.report import collect
from parc_core.runner.settings import KeptConfig, check_alone
from parc_core.runner.stop import StopFlag
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.group import Group, leave, under_torchrun
from parc_motion import storage

__all__ = ["run_file"]


def run_file(
    path: pathlib.Path,
    *,
    overrides: tuple[str, ...] = (),
    only: str | None = None,
    iteration: int | None = None,
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
        path: an iteration file; a run folder (its `config.yaml` is taken); or the file of a stage that `parc setup`
            wrote, which says what `only` and `iteration` say otherwise.
        overrides: ``key=value`` texts that change single settings.
        only: run just this stage of one iteration.
        iteration: with `only`: which one, counted from 1; by default the last one.
        batch: with ``only="kin_gen"``: run just this batch, counted from 0.
        resume: refuse to begin a new run; continue an existing one.
        iterations: how many iterations, instead of the file's number; kept in the run folder.
        redo: make finished work again: this stage and those after it in the last iteration, or in that of `iteration`;
            "inputs" alone; or "all". What it replaces is kept in `superseded`.
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
    stage_file = read_stage_file(path)
    if stage_file is not None:
        only, iteration = _chosen_by(stage_file, only, iteration)
    if iterations is not None:
        overrides = (*overrides, f"iterations={iterations}")
    config, folder = prepare(path, overrides, registry, resume, stage_file)
    check_choice(only, iteration, batch, config, redo)
    check_redo(redo)
    world_size = int(os.environ["WORLD_SIZE"]) if under_torchrun(os.environ) else 1
    device = None if dry_run else device_name(config.device)
    for number in (1, *config.from_):
        check_processes(config.at(number), registry, only, world_size, device)

    if dry_run:
        return plan(contexts(config, registry, folder, reporter), redo, iteration)
    with presence(folder) as others, StopFlag() as stop, run_log(RunFolder(folder).log):
        with alone(folder):
            runs = contexts(config, registry, folder, reporter, stop)
            scope = redo_scope(runs, redo, iteration)
            again = frozenset(replaced(scope, redo))
            check_files([attrs.evolve(run, gone=again) for run in _chosen(runs, only, iteration)], only)
            set_torch_threads(config.torch_threads)
            kept = KeptConfig(RunFolder(folder))
            if redo is not None or kept.changes(config):
                check_alone(others, folder, redo)
            if not others():
                storage.sweep(folder)
                storage.sweep_leases(RunFolder(folder).locks)
            if stage_file is not None:
                _tell_of_changes(stage_file, registry, reporter)
            kept.replace(config)
            set_aside_replaced(scope, redo)
            write_manifest(RunFolder(folder))
        try:
            group = None if world_size == 1 else Group.of_torchrun(runs[0].device, stop)
            runs = [attrs.evolve(run, group=group) for run in runs]
            for run in _chosen(runs, only, iteration):
                IterationJobs(run).run(only, batch)
            if group is not None:
                group.post(None)
                leave()
        except Stopped as stopped:
            reporter.message("run", f"stopped; continue with: parc run {folder}")
            stopped.exit_code = stop.exit_code
            raise
        except Exception:
            if not others():
                kept.restore_after_fault(reporter, "finished")
            raise
        write_manifest(RunFolder(folder))
        report = collect(folder, keep=True)
        storage.write_json(RunFolder(folder).report, report)
    return report


def _chosen(runs: Sequence[RunContext], only: str | None, iteration: int | None) -> Sequence[RunContext]:
    """The iterations that are carried out: all, or with `only` one of them."""
    if only is None:
        return runs
    return [runs[-1 if iteration is None else iteration - 1]]


def _chosen_by(file: StageFile, only: str | None, iteration: int | None) -> tuple[str, int]:
    """Stage and iteration that the file of a stage chooses; options may repeat it, and not say anything else."""
    for option, given, written in (("only", only, file.only), ("iteration", iteration, file.iteration)):
        if given not in (None, written):
            raise ConfigError(
                f"--{option} {given}: {file.path} says `{option}: {written}`. Leave the option out, or give the run "
                f"folder instead of the file: parc run {file.run}"
            )
    return file.only, file.iteration


def _tell_of_changes(file: StageFile, registry: Registry, reporter: Reporter) -> None:
    config = load_iteration(RunFolder(file.run).config, (), registry).config
    changes = [f"{one.name} {one.run_has} -> {one.file_has}" for one in file.changes(config)]
    if changes:
        reporter.message("run", f"{file.path} changes {', '.join(changes)}")
