"""A job's folder appears only when it is complete, stays, and is never overwritten."""

from __future__ import annotations

import json

import attrs
import pytest

from parc_core.stages.job import Job
from parc_core.stages.record import RECORD, differences, read_record
from parc_core.stages.superseded import set_aside
from parc_motion import storage
from parc_motion.errors import CorruptArtifact


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


@pytest.mark.parametrize("damage", ["missing", "shorter", "other"])
def test_damaged_output_is_an_error_of_whoever_reads_it_and_the_job_stays_finished(tmp_path, damage):
    job = make_job(tmp_path)
    finish(job, "something")
    file = job.folder / "out.txt"
    file.unlink() if damage == "missing" else file.write_text("s" if damage == "shorter" else "Something")
    record = job.finished()
    assert record is not None
    words = "missing, but kin_gen made it" if damage == "missing" else "differs from what kin_gen wrote"
    for below in ("", "out.txt"):
        with pytest.raises(CorruptArtifact, match=f"^{file}: {words}.*`parc verify`"):
            record.checked(job.folder, below)


@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "missing", "not sealed", "earlier format"])
def test_damaged_record_is_named_and_never_taken_for_other_settings(tmp_path, damage):
    job = make_job(tmp_path)
    finish(job)
    file = job.folder / RECORD
    text = file.read_text()
    spoiled = {
        "flipped": text.replace('"seed": 1', '"seed": 3'),
        "short": text[: len(text) // 2],
        "empty": "",
        "not sealed": json.dumps({k: v for k, v in json.loads(text).items() if k != "sha256"}),
        "earlier format": text.replace('"format": 2', '"format": 1'),
    }
    file.unlink() if damage == "missing" else file.write_text(spoiled[damage])
    with pytest.raises(CorruptArtifact, match=f"^{file}: .*`parc verify`"):
        job.finished()
    assert (job.folder / "out.txt").is_file()


def test_record_of_an_early_version_is_read(tmp_path):
    job = make_job(tmp_path)
    finish(job)
    document = json.loads((job.folder / RECORD).read_text())
    early = {k: v for k, v in document.items() if k not in ("sha256", "machine")} | {"format": 1}
    (job.folder / RECORD).write_text(json.dumps(early))
    assert job.finished() == attrs.evolve(read_record(job.folder), machine={})


def test_settings_changed_and_changed_back_take_the_earlier_result_back(tmp_path, caplog):
    caplog.set_level("INFO")
    first, second = make_job(tmp_path, candidates=8), make_job(tmp_path, candidates=16)
    finish(first, "eight")
    set_aside(first.folder, first.superseded)
    assert second.taken_back() is None
    finish(second, "sixteen")
    set_aside(second.folder, second.superseded)
    record = first.taken_back()
    assert record is not None and record.key == first.key and first.finished() == record
    assert (first.folder / "out.txt").read_text() == "eight"
    assert "was made with these settings before: it is taken back from" in caplog.text


def test_what_was_set_aside_to_be_made_again_or_is_damaged_is_not_taken_back(tmp_path):
    job = make_job(tmp_path)
    finish(job)
    set_aside(job.folder, job.superseded, again=True)
    assert job.taken_back() is None
    finish(job)
    set_aside(job.folder, job.superseded)
    (job.superseded / "iter_001-batch-001" / "out.txt").write_text("y")
    assert job.taken_back() is None
    assert sorted(path.name for path in job.superseded.iterdir()) == [
        "iter_001-batch-000-again",
        "iter_001-batch-001",
    ]


def test_half_of_a_job_goes_on_when_its_inputs_are_again_what_they_were(tmp_path):
    storage.write_text(make_job(tmp_path, dataset="a").begin() / "checkpoint.txt", "half of a")
    storage.write_text(make_job(tmp_path, dataset="b").begin() / "checkpoint.txt", "half of b")
    set_aside(make_job(tmp_path, dataset="b").partial, tmp_path / "superseded")
    assert (make_job(tmp_path, dataset="a").begin() / "checkpoint.txt").read_text() == "half of a"


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
