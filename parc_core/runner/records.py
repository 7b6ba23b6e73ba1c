"""The finished jobs of a run folder, found without its settings."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import attrs

from parc_core.interfaces import RunFolder
from parc_core.stages.record import JobRecord, read_record
from parc_motion.errors import DataError

__all__ = ["FinishedJob", "finished_jobs"]


@attrs.frozen(kw_only=True)
class FinishedJob:
    """A folder of finished work."""

    name: str  # from the run folder
    folder: pathlib.Path
    stage: str
    iteration: int  # counted from 1; 0 of inputs
    record: JobRecord | None  # None: it is damaged
    damage: str


def finished_jobs(run: RunFolder) -> Iterator[FinishedJob]:
    """Jobs that have their final names, in the order of the work, damaged ones included."""
    for folder in run.input_folders():
        yield from _job(run, folder, "inputs", 0)
    for iteration in run.iterations():
        number = iteration.number
        yield from _job(run, iteration.train_gen, "train_gen", number)
        for folder in iteration.batches():
            yield from _job(run, folder, "kin_gen", number)
        yield from _job(run, iteration.train_tracker, "train_tracker", number)
        yield from _job(run, iteration.phys_record, "phys_record", number)


def _job(run: RunFolder, folder: pathlib.Path, stage: str, iteration: int) -> Iterator[FinishedJob]:
    if not folder.is_dir() or folder.name.endswith(".partial"):
        return
    record, damage = None, ""
    try:
        record = read_record(folder)
    except DataError as err:
        damage = str(err)
    if record is not None or damage:
        name = folder.relative_to(run.path).as_posix()
        yield FinishedJob(
            name=name, folder=folder, stage=stage, iteration=iteration, record=record, damage=damage
        )
