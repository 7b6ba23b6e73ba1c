"""A job that was begun goes on with the settings that it was begun with, whatever the run's are by now."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import TypeVar

import attrs

from parc_core.config import load_iteration
from parc_core.errors import ConfigError
from parc_core.stages.context import RunContext
from parc_core.stages.job import Begun, Job, JobRecord, prepared_or_record
from parc_motion.errors import DataError

__all__ = ["as_begun", "prepared_as_begun", "with_settings"]

log = logging.getLogger(__name__)

T = TypeVar("T")


def prepared_as_begun(
    run: RunContext, folder: pathlib.Path, prepare: Callable[[RunContext], tuple[Job, T]]
) -> tuple[RunContext, Job, T] | JobRecord:
    """What `prepare` finds of a job, under the settings with which it goes on.

    These are the run's, unless the job was begun with others that differ in more than its length: then those. If its
    inputs have changed, too, it is begun again with the run's.

    Args:
        folder: of the job when it is finished.
        prepare: the job and whatever its work needs, under the settings of a context.

    Returns:
        The context, the job, and what its work needs; or the record, if the job is finished and its inputs are gone.

    Raises:
        DataError: an input is missing and the job is not finished.
    """
    prepared = prepared_or_record(lambda: prepare(run), folder)
    if isinstance(prepared, JobRecord):
        return prepared
    job, more = prepared
    begun = Begun(job.partial)
    if begun.key is None or begun.key == job.key or begun.settings is None or job.is_longer_than_begun():
        return run, job, more
    try:
        earlier = with_settings(run, begun.settings)
        job_then, more_then = prepare(earlier)
    except (ConfigError, DataError) as err:
        log.warning("%s: the settings that it was begun with cannot be used any more: %s", job.lasting, err)
        return run, job, more
    if job_then.key != begun.key:
        return run, job, more
    log.info(
        "%s was begun with other settings, and goes on with those. To begin it again: --redo %s",
        job.lasting,
        job.stage,
    )
    return earlier, job_then, more_then


def as_begun(run: RunContext, partial: pathlib.Path) -> RunContext:
    """The context with the settings with which the work in a folder was begun; as it is if nothing was.

    Args:
        partial: where the work goes on.
    """
    settings = Begun(partial).settings
    return run if settings is None else with_settings(run, settings)


def with_settings(run: RunContext, path: pathlib.Path) -> RunContext:
    """The context with the settings in a file, which hold for its iteration.

    Raises:
        ConfigError: they cannot be read with what is installed now.
    """
    settings = load_iteration(path, (), run.registry).config
    return attrs.evolve(run, config=attrs.evolve(settings, iterations=run.settings.iterations))
