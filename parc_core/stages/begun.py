"""A job that was begun goes on with the settings that it was begun with, whatever the run's are by now."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import TypeVar

import attrs

from parc_core.config import IterationConfig, load_settings
from parc_core.errors import ConfigError
from parc_core.stages.context import RunContext
from parc_core.stages.job import Begun, Job, prepared_or_record
from parc_core.stages.marker import MARKER
from parc_core.stages.record import JobRecord
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
    prepared = _prepared_as_begun(run, folder, prepare)
    if not isinstance(prepared, JobRecord):
        _use_threads(prepared[0])
    return prepared


def _prepared_as_begun(
    run: RunContext, folder: pathlib.Path, prepare: Callable[[RunContext], tuple[Job, T]]
) -> tuple[RunContext, Job, T] | JobRecord:
    prepared = prepared_or_record(lambda: prepare(run), folder)
    if isinstance(prepared, JobRecord):
        return prepared
    job, more = prepared
    begun = Begun(job.partial)
    if begun.key is None or begun.key == job.key or begun.settings is None or job.is_longer_than_begun():
        return run, job, more
    try:
        earlier = with_settings(run, begun.settings, job.partial)
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
    text = Begun(partial).settings
    if text is None:
        return run
    run = with_settings(run, text, partial)
    _use_threads(run)
    return run


def with_settings(run: RunContext, text: str, partial: pathlib.Path) -> RunContext:
    """The context with the settings that the marker of a folder at work holds, for its iteration.

    Raises:
        ConfigError: they cannot be read with what is installed now.
    """
    source = str(partial / MARKER)
    settings, _ = load_settings(text, source, IterationConfig, run.registry, base=partial, warn_renamed=False)
    return attrs.evolve(
        run,
        config=attrs.evolve(settings, iterations=run.settings.iterations),
        torch_threads=settings.torch_threads,
    )


def _use_threads(run: RunContext) -> None:
    """Let torch compute with the threads of the settings: their number changes what it computes."""
    import torch

    torch.set_num_threads(run.torch_threads)
