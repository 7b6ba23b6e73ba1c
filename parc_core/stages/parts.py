"""The jobs of an iteration: which there are, and how one is carried out from its description."""

from __future__ import annotations

import pathlib

from parc_core.errors import ConfigError
from parc_core.interfaces import JobSpec
from parc_core.stages import inputs, kin_gen, phys_record, train_gen, train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.faults import guarded
from parc_core.stages.job import Job
from parc_core.stages.record import JobRecord, read_record
from parc_motion.clips import MotionDataset

__all__ = ["batches", "chunk_spec", "chunks", "folder_of", "is_finished", "job_of", "run_job"]


def batches(run: RunContext) -> list[JobSpec]:
    """The jobs of `kin_gen`."""
    return [
        _spec(run, kin_gen.STAGE, number, (ids.start, ids.stop))
        for number, ids in enumerate(kin_gen.motion_ids(run))
    ]


def chunks(run: RunContext, dataset: MotionDataset) -> list[JobSpec]:
    """The jobs of `phys_record`, none if it is finished; its folder is prepared for them."""
    return [chunk_spec(run, number) for number in range(phys_record.begin(run, dataset))]


def chunk_spec(run: RunContext, number: int) -> JobSpec:
    """The job of a chunk of `phys_record`."""
    return _spec(run, phys_record.STAGE, number)


def folder_of(run: RunContext, job: JobSpec) -> pathlib.Path:
    """Where a batch or chunk lies when it is finished."""
    if job.ids is not None:
        return run.folder.batch(run.config.kin_gen.save_name, job.ids[0], job.ids[1] - 1)
    return phys_record.chunk_folder(run, job.part or 0)


def job_of(run: RunContext, job: JobSpec) -> Job:
    """The job of a batch or chunk, with everything that its result depends on.

    Raises:
        DataError: what it needs is not there yet.
    """
    if job.ids is not None:
        return kin_gen.job(run, range(*job.ids))
    return phys_record.chunk_job(run, job.part or 0)


def is_finished(run: RunContext, job: JobSpec) -> bool:
    """Whether a batch or chunk lies there complete."""
    folder = folder_of(run, job)
    return read_record(folder) is not None and not folder.with_name(f"{folder.name}.partial").exists()


def run_job(run: RunContext, job: JobSpec) -> JobRecord:
    """Carry out a job of the iteration, or skip it if it is finished.

    Raises:
        Held: another process works on it.
        ConfigError: there is no such job.
        BrokenPlugin: a provider ended the program, by `sys.exit` say.
    """
    return guarded(run.config, lambda: _run_job(run, job))


def _run_job(run: RunContext, job: JobSpec) -> JobRecord:
    if job.stage == kin_gen.STAGE:
        part, ids = job.part, job.ids
        if part is not None and ids is None:
            every = kin_gen.motion_ids(run)
            if part >= len(every):
                raise ConfigError(f"{job.name}: iteration {run.iteration} has batches 0..{len(every) - 1}.")
            ids = (every[part].start, every[part].stop)
        if part is None or ids is None:
            raise ConfigError(f"{job.name}: the job does not say which batch.")
        return kin_gen.run_batch(run, part, range(*ids))
    if job.stage == phys_record.STAGE and job.part is not None:
        return phys_record.run_chunk(run, job.part)
    dataset = inputs.iteration_dataset(run)
    if job.stage == phys_record.STAGE:
        return phys_record.run_stage(run, dataset)
    if job.stage == train_gen.STAGE:
        return train_gen.run_stage(run, dataset)
    if job.stage == train_tracker.STAGE:
        return train_tracker.run_stage(run, dataset)
    raise ConfigError(f"{job.name}: no such stage.")


def _spec(run: RunContext, stage: str, part: int, ids: tuple[int, int] | None = None) -> JobSpec:
    folder = str(run.run_folder.path.absolute())
    return JobSpec(run=folder, iteration=run.iteration, stage=stage, part=part, ids=ids)
