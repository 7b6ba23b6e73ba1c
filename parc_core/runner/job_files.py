"""A job from a file: as a scheduler starts it, or as another machine sent it."""

from __future__ import annotations

import logging
import pathlib

import attrs

from parc_core.errors import ConfigError
from parc_core.interfaces import JobResult, JobSpec, RunFolder
from parc_core.runner.jobs import carry_out
from parc_core.runner.logs import run_log
from parc_core.runner.outcome import outcome_of
from parc_core.runner.stop import StopFlag
from parc_core.runner.transport import MAX_BYTES, result_of, run_exported
from parc_core.stages.context import Reporter
from parc_motion.errors import DataError
from parc_motion.storage import make_folder, parse_json, read_file, remove, write_bytes

__all__ = ["carry_out_file", "read_job"]

log = logging.getLogger(__name__)

_MAX_JOB_BYTES = 16 << 20


def carry_out_file(path: pathlib.Path, reporter: Reporter, threads: int = 0) -> JobResult:
    """Carry out the job in a file; see `parc job run`.

    Raises:
        DataError: the file does not hold a job.
        ConfigError: the run folder is not seen here.
    """
    if path.suffix == ".zip":
        return _carry_out_exported(path, reporter, threads)
    job = read_job(path)
    folder = RunFolder(pathlib.Path(job.run))
    if not folder.exists:
        raise ConfigError(
            f"{path}: its run folder {job.run} is not seen here. Export the job: parc job export --help"
        )
    file = folder.stage_log(job.stage, job.iteration, job.part)
    with StopFlag() as stop, run_log(file):
        log.debug("%s: started", job.name)
        result = outcome_of(lambda: carry_out(job, reporter, stop, threads), job.name, f"logs/{file.name}")
        log.debug("%s: %s  %s", job.name, result.state, result.error)
    return _with_exit_code(result, stop)


def _carry_out_exported(path: pathlib.Path, reporter: Reporter, threads: int) -> JobResult:
    work = path.with_suffix(".work")
    exported = read_file(path, MAX_BYTES, "exported jobs")
    with StopFlag() as stop, run_log(RunFolder(make_folder(work)).log):
        result = run_exported(exported, work.absolute(), reporter, stop, threads)
    if result.state == "finished":
        write_bytes(path.with_suffix(".result.zip"), result_of(work))
        remove(work)
    return _with_exit_code(result, stop)


def _with_exit_code(result: JobResult, stop: StopFlag) -> JobResult:
    """The result; of a stopped job with the exit code of the signal that stopped it."""
    return attrs.evolve(result, exit_code=stop.exit_code) if result.state == "stopped" else result


def read_job(path: pathlib.Path) -> JobSpec:
    """The job in a file.

    Raises:
        DataError: something else lies there.
    """
    document = parse_json(read_file(path, _MAX_JOB_BYTES, "jobs"), str(path))
    try:
        return JobSpec.read(document, str(path))
    except ValueError as err:
        raise DataError(f"{path}: cannot be read as a job: {err}") from err
