"""A checkpoint, a clip and a packed store, with a fault at every change of the disk."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from parc_motion.clips import save_clip
from parc_motion.errors import StorageError
from parc_motion.storage import (
    CheckpointStore,
    PackedField,
    PackedWriter,
    append_line,
    commit_folder,
    digest_folder,
    faults,
    staged_folder,
    sweep,
    write_bytes,
)
from parc_testing.builders import make_clip
from parc_testing.faulty import count_operations, in_child


def save_checkpoint(folder):
    store = CheckpointStore(folder=folder / "checkpoints", keep=1)
    for step in range(store.steps()[-1] + 1 if store.steps() else 1, 3):
        store.save(step, {"w": torch.full((64,), float(step))}, {"step": step})
    assert store.latest().step == 2
    for step in store.steps()[
        :-1
    ]:  # the process ended between the last checkpoint and the removal of the one before
        shutil.rmtree(store.folder / f"model_{step:010d}")


def save_one_clip(folder):
    save_clip(folder / "deep" / "clips" / "walk.npz", make_clip(40, name="walk", speed=1.0))


def save_store(folder):
    final = folder / "store"
    if final.exists():
        return
    staged = staged_folder(final)
    with PackedWriter(staged, {"pos": PackedField(dtype="<f4", shape=(3,), group="frames")}) as writer:
        for number in range(writer.num_items, 3):
            writer.append({"pos": np.full((number + 1, 3), number)})
            writer.checkpoint(number)
        writer.finish({})
    commit_folder(staged, final)


@pytest.mark.parametrize("work", [save_checkpoint, save_one_clip, save_store])
def test_a_fault_at_any_change_of_the_disk_costs_nothing(tmp_path, work, measured):
    expected = tmp_path / "undisturbed"
    total = count_operations(lambda: work(expected), tmp_path / "out.txt")
    assert total > 5
    for kind in faults.KINDS:
        for number in range(1, total + 1):
            folder = tmp_path / f"{kind}-{number}"
            ended = in_child(lambda folder=folder: work(folder), tmp_path / "out.txt", f"{kind}@{number}")
            if kind == "crash":
                assert ended.code == 137
            else:
                assert (ended.code, "Traceback" in ended.text) == (73, False), ended.text
                assert ended.text.count("\n") == 1 and str(folder) in ended.text
            again = in_child(lambda folder=folder: work(folder), tmp_path / "out.txt")
            assert again.code == 0, (kind, number, again.text)
            sweep(folder)
            assert digest_folder(folder) == digest_folder(expected), (kind, number)
            assert {path.relative_to(folder) for path in folder.rglob("*")} == {
                path.relative_to(expected) for path in expected.rglob("*")
            }
    measured(
        f"faults, {work.__name__}", f"{total} changes of the disk x crash, ENOSPC, EIO: all made whole again"
    )


def test_a_line_that_was_torn_does_not_spoil_the_next(tmp_path):
    file = tmp_path / "lines.txt"
    append_line(file, "first")
    total = count_operations(lambda: append_line(tmp_path / "other.txt", "second line"), tmp_path / "out.txt")
    for number in range(1, total + 1):
        in_child(lambda: append_line(file, "second line"), tmp_path / "out.txt", f"crash@{number}")
    append_line(file, "third")
    lines = file.read_text().splitlines()
    assert lines[0] == "first" and lines[-1] == "third"
    assert all("second line".startswith(line) for line in lines[1:-1])


@pytest.mark.parametrize(
    "text", ["", "crash", "crash@0", "crash@-1", "boom@3", "eio@1e3", "eio@" + "9" * 5000]
)
def test_a_fault_that_is_none_is_one_error(text):
    with pytest.raises(
        StorageError, match=r"^PARC_FAULT is '.{0,40}', expected one of crash@N, enospc@N, eio@N"
    ):
        faults.inject(text)
    faults.inject(None)


def test_the_environment_variable_chooses_the_fault(tmp_path):
    file = repr(str(tmp_path / "a"))
    code = f"import pathlib; from parc_motion import storage; storage.write_text(pathlib.Path({file}), 'x')"
    for fault, expected in (("enospc@3", "No space left"), ("eio@1", "Input/output error")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PARC_FAULT": fault},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert expected in done.stderr and not (tmp_path / "a").exists()
    assert (
        subprocess.run([sys.executable, "-c", code], env={"PARC_FAULT": "crash@2"}, timeout=60).returncode
        == 137
    )


def test_a_killed_writer_leaves_what_sweep_removes(tmp_path):
    total = count_operations(lambda: write_bytes(tmp_path / "x" / "file", b"0" * 100), tmp_path / "out.txt")
    for number in range(1, total + 1):
        in_child(
            lambda: write_bytes(tmp_path / "y" / "file", b"1" * 100), tmp_path / "out.txt", f"crash@{number}"
        )
    sweep(tmp_path / "y")
    assert [path.name for path in (tmp_path / "y").iterdir()] == ["file"]
