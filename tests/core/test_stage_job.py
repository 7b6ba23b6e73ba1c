"""A job's folder appears only when it is complete, stays, and is never overwritten."""

from __future__ import annotations

import pytest

from parc_core.stages.job import Job, differences, read_record, set_aside
from parc_motion import storage


def make_job(tmp_path, **fields) -> Job:
    return Job(
        stage="kin_gen",
        folder=tmp_path / "iter_001" / "batch",
        key_fields={"seed": 1, **fields},
        superseded=tmp_path / "superseded",
        locks=tmp_path / "locks",
    )


def finish(job: Job, text: str = "x") -> None:
    with job.attempt() as folder:
        storage.write_text(folder / "out.txt", text)
    job.commit({"out": 1})


def test_folder_appears_under_its_name_only_when_complete(tmp_path):
    job = make_job(tmp_path)
    storage.write_text(job.begin() / "out.txt", "x")
    assert not job.folder.exists() and job.finished() is None
    job.commit({"out": 1})
    assert [p.name for p in job.folder.parent.iterdir()] == ["batch"]
    record = job.finished()
    assert record is not None and list(record.files) == ["out.txt"] and record.summary == {"out": 1}


def test_cut_off_job_continues_in_its_partial_folder(tmp_path):
    storage.write_text(make_job(tmp_path).begin() / "checkpoint.txt", "half")
    assert (make_job(tmp_path).begin() / "checkpoint.txt").read_text() == "half"


def test_partial_work_under_other_settings_is_set_aside(tmp_path):
    storage.write_text(make_job(tmp_path, candidates=8).begin() / "checkpoint.txt", "half")
    folder = make_job(tmp_path, candidates=16).begin()
    assert not (folder / "checkpoint.txt").exists()
    assert (tmp_path / "superseded" / "iter_001-batch.partial-000" / "checkpoint.txt").read_text() == "half"


def test_result_under_other_settings_stays_and_the_log_says_in_what_they_differ(tmp_path, caplog):
    caplog.set_level("INFO")
    finish(make_job(tmp_path, candidates=8, terrain={"use": "boxes", "settings": {"num_boxes": 3}}), "old")
    other = make_job(tmp_path, candidates=16, terrain={"use": "boxes", "settings": {"num_boxes": 4}})
    record = other.finished()
    assert record is not None and record.key_fields["candidates"] == 8
    assert (other.folder / "out.txt").read_text() == "old"
    assert "candidates 8 -> 16, terrain.settings.num_boxes 3 -> 4" in caplog.text


def test_result_that_is_replaced_is_set_aside_not_overwritten(tmp_path):
    job = make_job(tmp_path)
    finish(job, "old")
    set_aside(job.folder, job.superseded)
    assert job.finished() is None
    finish(job, "new")
    assert (tmp_path / "superseded" / "iter_001-batch-000" / "out.txt").read_text() == "old"
    assert (job.folder / "out.txt").read_text() == "new"


def test_fields_of_earlier_releases_differ_only_in_what_counts():
    earlier = {
        "core": "0.1.0",
        "providers": {
            "terrain.0": {
                "dist": "parc-terrain",
                "version": "0.1.0",
                "settings": {"use": "boxes", "num_boxes": 3},
            },
            "reward": {"file": "0f3a", "attribute": "near", "settings": {"use": "near", "k": 1.0}},
        },
    }
    now = {
        "providers": {
            "terrain.0": {"use": "parc-terrain:boxes", "settings": {"num_boxes": 4}},
            "reward": {"use": "near", "settings": {"k": 1.0}},
        },
    }
    assert differences(earlier, now) == ["providers.terrain.0.settings.num_boxes 3 -> 4"]


def test_complete_work_is_kept_whatever_the_settings_are_now(tmp_path, monkeypatch):
    job = make_job(tmp_path, candidates=8)
    with job.attempt() as folder:
        storage.write_text(folder / "out.txt", "old")
    monkeypatch.setattr(storage, "commit_folder", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        job.commit({"out": 1})
    monkeypatch.undo()
    record = make_job(tmp_path, candidates=16).finished()
    assert record is not None and record.key_fields["candidates"] == 8


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_job_with_a_damaged_file_is_not_finished(tmp_path, damage):
    job = make_job(tmp_path)
    finish(job, "something")
    file = job.folder / "out.txt"
    file.unlink() if damage == "missing" else file.write_text("s")
    assert job.finished() is None


def test_wall_time_adds_up_over_attempts_that_failed(tmp_path, monkeypatch):
    clock = iter([0.0, 100.0, 500.0, 520.0])  # 100 s until the failure, 20 s in the attempt that finishes
    monkeypatch.setattr("parc_core.stages.working_time.time.monotonic", lambda: next(clock))
    job = make_job(tmp_path)
    with pytest.raises(RuntimeError), job.attempt():
        raise RuntimeError("cut off")
    with job.attempt():
        pass
    record = job.commit({})
    assert record.wall_s == 120.0
    assert read_record(job.folder) == record
