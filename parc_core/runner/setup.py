"""`parc setup`: what can be made before the first training, and files and commands for every job of the run."""

from __future__ import annotations

import pathlib
from typing import Any

import attrs

from parc_core.config import read_stage_file
from parc_core.errors import ConfigError
from parc_core.interfaces import RunFolder, Stopped
from parc_core.plugins import Registry
from parc_core.runner.checks import check_files, check_processes
from parc_core.runner.contexts import contexts, prepare
from parc_core.runner.iteration import IterationJobs
from parc_core.runner.logs import run_log
from parc_core.runner.plan import plan
from parc_core.runner.presence import alone, presence
from parc_core.runner.settings import KeptConfig, check_alone
from parc_core.runner.setup_files import commands_of, write_setup_files
from parc_core.runner.stop import StopFlag
from parc_core.stages.context import Reporter, RunContext
from parc_core.stages.record import read_record

__all__ = ["set_up"]


def set_up(
    path: pathlib.Path,
    *,
    overrides: tuple[str, ...] = (),
    iterations: int | None = None,
    reporter: Reporter,
) -> dict[str, Any]:
    """Prepare a run: import its motions, write the data set and the caches of the next trainings, and `setup/`.

    Nothing is trained, and no GPU is needed. Finished work stays, and what was prepared before is not made again.

    Args:
        path: an iteration file, or a run folder.
        overrides: ``key=value`` texts that change single settings.
        iterations: how many iterations, instead of the file's number; kept in the run folder.

    Returns:
        The plan of the run (`parc_core.runner.plan.plan`), and under "commands" those of `commands_of`.

    Raises:
        ConfigError: the file or an override is wrong, or a file that a stage needs is missing.
        DataError: the motions cannot be used.
        RunLocked: settings are to change while other processes work in the run folder.
    """
    if read_stage_file(path) is not None:
        raise ConfigError(f"{path}: the file of a stage. Give an iteration file or a run folder.")
    registry = Registry.discover()
    if iterations is not None:
        overrides = (*overrides, f"iterations={iterations}")
    config, folder = prepare(path, overrides, registry)
    for number in (1, *config.from_):
        check_processes(config.at(number), registry, None, 1, None)
    with presence(folder) as others, StopFlag() as stop, run_log(RunFolder(folder).log):
        runs = contexts(config, registry, folder, reporter)
        with alone(folder):
            check_files(runs)
            kept = KeptConfig(RunFolder(folder))
            if kept.changes(config):
                check_alone(others, folder, None)
            kept.replace(config)
        try:
            following = _next_to_train(runs)
            if following is not None:  # what is prepared is the same on every device
                IterationJobs(attrs.evolve(following, device="cpu", should_stop=stop)).prepare()
            if stop():
                raise Stopped
        except Stopped as stopped:
            stopped.exit_code = stop.exit_code
            raise
        except Exception:
            if not others():
                kept.restore_after_fault(reporter, "prepared")
            raise
        with alone(folder):
            write_setup_files(runs, reporter)
    return {**plan(runs), "commands": commands_of(runs)}


def _next_to_train(runs: list[RunContext]) -> RunContext | None:
    """The first iteration that has not trained its generator; None where it waits for the one before it."""
    for run in runs:
        if read_record(run.folder.train_gen) is None:
            before = run.run_folder.iteration(run.iteration - 1)
            return run if run.iteration == 1 or read_record(before.phys_record) is not None else None
    return None
