"""What a run would do, and what `--redo` replaces."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from parc_core.config import dump
from parc_core.errors import ConfigError
from parc_core.stages import inputs, kin_gen, phys_record, train_gen, train_tracker
from parc_core.stages.context import RunContext
from parc_core.stages.job import Begun, Job
from parc_core.stages.record import JobRecord, differences, read_record
from parc_motion.clips import MotionDataset
from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["ALL", "STAGES", "longer_training", "plan", "redo_scope", "repeated", "replaced"]

STAGES = (train_gen.STAGE, kin_gen.STAGE, train_tracker.STAGE, phys_record.STAGE)
ALL = "all"
_INPUTS = tuple(f"inputs.{name} " for name in ("dataset", "model", "policy", "start"))


def plan(runs: Sequence[RunContext], redo: str | None = None, iteration: int | None = None) -> dict[str, Any]:
    """What a run would do: a row per job in the order of the work.

    A row has ``iteration`` (0 of inputs), ``stage``, ``folder``, ``state``, ``changed`` and ``note``. States are
    "finished", "begun", "to do", "damaged", and "redo" for work that is there and that `redo` replaces; ``changed``
    lists in what the settings and inputs of finished and begun work differ from those that now hold, and ``note`` says
    how begun or lengthened work goes on, or what is damaged.

    Args:
        runs: the iterations of a run, in order.
        iteration: that `redo` is about, see `redo_scope`.
    """
    scope = redo_scope(runs, redo, iteration)
    again = {folder for folder in replaced(scope, redo) if folder.exists()}
    longer = longer_training(scope, redo)
    runs = [attrs.evolve(run, gone=frozenset(again)) for run in runs]
    rows = []
    for run in runs:
        for stage, folder, job in (*(_inputs(run) if run is runs[0] else ()), *_jobs(run)):
            record, damage = _record_or_damage(folder)
            begun = folder.with_name(f"{folder.name}.partial").exists()
            state = "finished" if record else "damaged" if damage else "begun" if begun else "to do"
            if again & {folder, *folder.parents} and state != "to do":
                state = "redo"
            changed, note = [], damage if state == "damaged" else ""
            if record is not None and state == "finished" and job is not None:
                changed = differences(record.key_fields, job.key_fields)
            if state == "begun" and job is not None:
                changed, note = _of_begun(job)
            if job is not None and longer is not None and job.folder == longer.folder:
                changed, note = (
                    differences(record.key_fields, job.key_fields) if record else [],
                    "goes on from its last state",
                )
            iteration = 0 if stage == inputs.STAGE else run.iteration
            row = {"iteration": iteration, "stage": stage, "folder": str(folder), "state": state}
            rows.append({**row, "changed": changed, "note": note})
    last = runs[-1]
    return {
        "dry_run": True,
        "name": last.settings.name,
        "folder": str(last.run_folder.path),
        "config": dump(last.settings),
        "jobs": rows,
    }


def redo_scope(runs: Sequence[RunContext], redo: str | None, iteration: int | None) -> Sequence[RunContext]:
    """The iterations that `redo` is about: those up to one whose stages are made again, the last one by default.

    Args:
        iteration: counted from 1; None for the last one.

    Raises:
        ConfigError: a later iteration has begun, and builds on what would be made again.
    """
    if iteration is None or redo not in STAGES:
        return runs
    for later in runs[iteration:]:
        if any(path.exists() for path in _with_partial(_stage_folders(later))):
            raise ConfigError(
                f"--redo {redo}: iteration {later.iteration} has begun, and builds on iteration {iteration}. Make all "
                "iterations again (--redo all), or begin another run."
            )
    return runs[:iteration]


def replaced(runs: Sequence[RunContext], redo: str | None) -> list[pathlib.Path]:
    """The folders that `redo` replaces, and their partial ones, whether or not they are there.

    Args:
        redo: a stage, from which on the last iteration is made again; "inputs" for the inputs alone; or "all" for the
            inputs and every iteration.
    """
    folders: list[pathlib.Path] = []
    if redo in (inputs.STAGE, ALL):
        folders += runs[-1].run_folder.input_folders()
    for run in runs if redo == ALL else runs[-1:]:
        stages = _stage_folders(run)
        folders += stages if redo == ALL else stages[STAGES.index(redo) :] if redo in STAGES else []
    return _with_partial(folders)


def _stage_folders(run: RunContext) -> list[pathlib.Path]:
    one = run.folder
    return [one.train_gen, one.kin_gen, one.train_tracker, one.phys_record]


def _with_partial(folders: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    return [path for folder in folders for path in (folder, folder.with_name(f"{folder.name}.partial"))]


def _of_begun(job: Job) -> tuple[list[str], str]:
    """In what a begun job differs from what is asked now, and how it goes on."""
    changed = Begun(job.partial).differences(job)
    if not changed:
        return [], ""
    if job.is_longer_than_begun():
        return changed, "goes on, longer"
    if any(text.startswith(_INPUTS) for text in changed):
        return changed, "begun again: its inputs changed"
    return changed, "goes on with the settings that it was begun with"


def longer_training(runs: Sequence[RunContext], redo: str | None) -> Job | None:
    """The finished training that `redo` repeats only to make it longer: more epochs or samples. None without one."""
    if redo not in (train_gen.STAGE, train_tracker.STAGE):
        return None
    for stage, folder, job in _jobs(runs[-1]):
        if stage == redo and job is not None:
            record, _ = _record_or_damage(folder)
            return job if record is not None and job.made_longer(record.key_fields) else None
    return None


def repeated(runs: Sequence[RunContext], redo: str) -> set[pathlib.Path]:
    """Those of the replaced folders that `redo` makes again with the same settings and inputs.

    Once a job differs, those after it count as different too: they will build on another result.
    """
    wanted = {folder for folder in replaced(runs, redo) if folder.exists()}
    found: set[pathlib.Path] = set()
    for run in runs if redo == ALL else runs[-1:]:
        for _, folder, job in (*(_inputs(run) if run is runs[0] else ()), *_jobs(run)):
            place = folder if folder in wanted else folder.parent
            if place not in wanted:
                continue
            record, _ = _record_or_damage(folder)
            if job is not None and record is not None and record.key != job.key:
                return found - {place}
            found.add(place)
    return found


def _record_or_damage(folder: pathlib.Path) -> tuple[JobRecord | None, str]:
    """The record of a finished job, and what is wrong with it."""
    try:
        return read_record(folder), ""
    except CorruptArtifact as err:
        return None, str(err)


def _inputs(run: RunContext) -> Iterator[tuple[str, pathlib.Path, Job | None]]:
    for number, use in enumerate(run.config.dataset):
        job = inputs.job(run, number, use)
        yield inputs.STAGE, job.folder, job


def _jobs(run: RunContext) -> Iterator[tuple[str, pathlib.Path, Job | None]]:
    """Stage and folder of every job, and the job itself where all that it depends on is there."""
    folder = run.folder
    dataset = MotionDataset.load(folder.dataset) if folder.dataset.is_file() else None

    def job_of(stage: str, *args: Any) -> Job | None:
        try:
            if stage == kin_gen.STAGE:
                return kin_gen.job(run, *args)
            if dataset is None:
                return None
            if stage == train_gen.STAGE:
                learned = train_gen.training_dataset(run, dataset)
                return train_gen.job(run, learned.digest, train_gen.start_folder(run))
            if stage == train_tracker.STAGE:
                motions = train_tracker.tracker_dataset(run, dataset)
                return train_tracker.job(run, motions.digest, train_tracker.start_folder(run))
            motions, (_, policy) = phys_record.recorded_dataset(run, dataset), phys_record.policy_of(run)
            return phys_record.job(run, motions.digest, policy)
        except DataError:  # an earlier stage has not finished
            return None

    yield train_gen.STAGE, folder.train_gen, job_of(train_gen.STAGE)
    for ids in kin_gen.motion_ids(run):
        batch = folder.batch(run.config.kin_gen.save_name, ids.start, ids.stop - 1)
        yield kin_gen.STAGE, batch, job_of(kin_gen.STAGE, ids)
    yield train_tracker.STAGE, folder.train_tracker, job_of(train_tracker.STAGE)
    yield phys_record.STAGE, folder.phys_record, job_of(phys_record.STAGE)
