"""Carries out one job of a run from its description, in whatever process or machine this is."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import attrs

from parc_core.errors import ConfigError
from parc_core.interfaces import JobSpec
from parc_core.plugins import Registry
from parc_core.runner.contexts import contexts, prepare, set_torch_threads
from parc_core.stages.context import Reporter
from parc_core.stages.parts import run_job
from parc_core.stages.record import JobRecord

__all__ = ["carry_out"]


def carry_out(
    job: JobSpec, reporter: Reporter, should_stop: Callable[[], bool], threads: int = 0
) -> JobRecord:
    """Carry out a job, or skip it if it is finished; the settings are those in the run folder.

    Args:
        threads: simulator threads; 0 takes the number in the settings.

    Raises:
        ConfigError: there is no such run or job.
        Held: another process works on the job.
    """
    registry = Registry.discover()
    config, folder = prepare(pathlib.Path(job.run), (), registry)
    if not 1 <= job.iteration <= config.iterations:
        raise ConfigError(
            f"{folder}: there is no iteration {job.iteration}; the run has {config.iterations}."
        )
    set_torch_threads(config.torch_threads)
    run = contexts(config, registry, folder, reporter, should_stop)[job.iteration - 1]
    return run_job(run if threads == 0 else attrs.evolve(run, threads=threads), job)
