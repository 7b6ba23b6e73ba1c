"""A job that was cut off anywhere ends as one that was not, and finished work is never done again."""

from __future__ import annotations

import os
import pathlib

import pytest
import torch

from parc_core.stages.job import Job
from parc_core.stages.record import read_record
from parc_motion import storage
from parc_motion.errors import StorageError

OPERATIONS = ("replace", "rename", "unlink", "fsync", "mkdir")


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the code under test may see it as an error."""


class Faults:
    """Counts the operations of the file system below the storage, and lets one of them fail."""

    def __init__(self, monkeypatch, error=Killed, after: bool = False) -> None:
        self.count, self.at, self.error, self.after = 0, -1, error, after
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, operation):
        def counted(*arguments, **options):
            number, self.count = self.count, self.count + 1
            if number == self.at and not self.after:
                raise self.error
            try:
                return operation(*arguments, **options)
            finally:
                if number == self.at and self.after:
                    raise self.error

        return counted


def make_job(tmp_path: pathlib.Path) -> Job:
    return Job(
        stage="train_gen",
        folder=tmp_path / "iter_001" / "p1_train_gen",
        key_fields={"seed": 1},
        superseded=tmp_path / "superseded",
        locks=tmp_path / "locks",
    )


def work(job: Job, done: list[str]) -> None:
    """What a stage does: skip, or train with checkpoints, write a model, commit."""
    if job.finished() is not None:
        return
    with job.attempt() as folder:
        store = storage.CheckpointStore(folder=folder / "checkpoints", keep=1)
        latest = store.latest()
        for step in range(latest.step + 1 if latest else 0, 2):
            done.append(f"step {step}")
            store.save(step, {"w": torch.full((2,), float(step))}, {"step": step})
        storage.write_tensors(folder / "final_model" / "weights.safetensors", {"w": torch.full((2,), 2.0)})
    job.commit({"out": 1})


def outcome(job: Job) -> tuple:
    record = read_record(job.folder)
    return record.files, record.digest, record.summary, sorted(p.name for p in job.folder.iterdir())


def number_of_operations(tmp_path, monkeypatch) -> int:
    with monkeypatch.context() as patch:
        faults = Faults(patch)
        work(make_job(tmp_path / "count"), [])
        return faults.count


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_any_operation_it_ends_the_same(tmp_path, monkeypatch, after):
    whole = make_job(tmp_path / "whole")
    work(whole, [])
    total = number_of_operations(tmp_path, monkeypatch)
    complete = 0  # times that it was killed between the record and the rename, or after that
    for at in range(total):
        job = make_job(tmp_path / f"killed_{at}")
        with monkeypatch.context() as patch:
            faults = Faults(patch, after=after)
            faults.at = at
            with pytest.raises(Killed):
                work(job, [])
        was_complete = any((folder / "DONE.json").exists() for folder in (job.partial, job.folder))
        again: list[str] = []
        work(job, again)
        complete += was_complete
        assert not (was_complete and again), f"operation {at}: finished work was done again"
        assert outcome(job) == outcome(whole), f"operation {at}"
        assert not list(job.folder.parent.rglob("*.partial*"))
        assert not (tmp_path / f"killed_{at}" / "superseded").exists()
    assert complete > 5


def test_failed_rename_loses_nothing_as_its_message_says(tmp_path, monkeypatch):
    job, again = make_job(tmp_path), []
    rename = os.rename

    def failing(source, target):
        if str(target) == str(job.folder):
            raise OSError(5, "Input/output error")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing)
        with pytest.raises(StorageError, match=r"Input/output error\. Nothing was lost"):
            work(job, [])
    work(job, again)
    assert again == []
    assert job.finished() is not None


def test_record_lists_outputs_only(tmp_path):
    job = make_job(tmp_path)
    work(job, [])
    assert list(read_record(job.folder).files) == ["final_model/weights.safetensors"]
    assert (job.folder / "checkpoints").is_dir(), "kept, but not an output"


def test_removed_checkpoints_do_not_undo_a_finished_job(tmp_path):
    job, again = make_job(tmp_path), []
    work(job, [])
    storage.remove(job.folder / "checkpoints")
    work(job, again)
    assert again == []


def test_leftover_of_a_dead_process_is_swept_and_in_no_digest(tmp_path):
    whole, job = make_job(tmp_path / "whole"), make_job(tmp_path / "killed")
    work(whole, [])
    leftover = job.begin() / "checkpoints" / "model_0000000001.partial-4194305" / "tensors.safetensors"
    storage.write_bytes(leftover, b"half a checkpoint")
    work(job, [])
    assert not list(tmp_path.rglob("*.partial-*"))
    assert read_record(job.folder).digest == read_record(whole.folder).digest


def test_complete_folder_whose_files_have_changed_is_worked_on(tmp_path, monkeypatch):
    job, again = make_job(tmp_path), []
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", lambda *names: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            with job.attempt() as folder:
                storage.write_text(folder / "final_model" / "weights.safetensors", "weights")
            job.commit({"out": 1})
    storage.write_text(job.partial / "final_model" / "weights.safetensors", "damaged")
    work(job, again)
    assert again, "the work went on instead of taking the damaged folder"
    assert job.finished() is not None
