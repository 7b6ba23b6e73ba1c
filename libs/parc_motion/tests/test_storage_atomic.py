"""Durable writes keep the old file until the new one is whole."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from parc_motion import storage
from parc_motion.errors import CorruptArtifact, DataError, RunLocked, StorageError


def test_failed_write_keeps_previous_file_and_leaves_no_litter(tmp_path):
    file = tmp_path / "a.bin"
    storage.write_bytes(file, b"old")

    def fail(temporary):
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match=r"a\.bin: cannot write: No space left on device \(.* MB free\)"):
        storage.write_with(file, fail)
    assert file.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_file_is_synced_before_and_folder_after_the_rename(tmp_path, monkeypatch):
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        calls.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        real_fsync(descriptor)

    def replace(source, target):
        calls.append(("replace", str(target)))
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    storage.write_bytes(tmp_path / "a", b"x")
    kinds = [kind for kind, _ in calls]
    assert kinds == ["fsync", "replace", "fsync"]
    assert ".tmp-" in calls[0][1] and calls[2][1] == str(tmp_path)


def test_file_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        storage.write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_append_after_a_torn_line_starts_a_new_one(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"a":1}\n{"tor')
    storage.append_line(file, '{"b":2}')
    assert file.read_bytes() == b'{"a":1}\n{"tor\n{"b":2}\n'


def test_commit_refuses_to_overwrite(tmp_path):
    (tmp_path / "staged").mkdir()
    (tmp_path / "final").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        storage.commit_folder(tmp_path / "staged", tmp_path / "final")


def test_sweep_removes_only_temporary_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".model.tmp-123.npz").write_bytes(b"x")
    (tmp_path / "sub" / "model.npz").write_bytes(b"x")
    assert storage.sweep(tmp_path) == 1
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["model.npz"]


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}
    storage.write_arrays(tmp_path / "x.npz", arrays, {"b": 1, "a": 2})
    storage.write_arrays(tmp_path / "y.npz", arrays, {"a": 2, "b": 1})
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()


def test_every_flipped_byte_of_arrays_is_noticed_or_harmless(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(50, 3)).astype(np.float32)}
    storage.write_arrays(tmp_path / "x.npz", arrays, {"kind": "test"})
    good = (tmp_path / "x.npz").read_bytes()
    bad = tmp_path / "bad.npz"
    for place in rng.integers(0, len(good), size=60):
        broken = bytearray(good)
        broken[place] ^= 0x10
        bad.write_bytes(bytes(broken))
        try:
            read, header = storage.read_arrays(bad)
        except DataError:
            continue
        assert header == {"kind": "test"} and np.array_equal(read["a"], arrays["a"])


def test_object_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", header=np.zeros(1, np.uint8), evil=np.array([{}], dtype=object))
    with pytest.raises(
        DataError,
        match=r"x\.npz: evil is pickled \(dtype object\), which is not read\. Save it as plain numbers\.",
    ):
        storage.read_arrays(tmp_path / "x.npz")


def test_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(4 << 20, np.uint8))
    limits = storage.ArrayLimits(total_bytes=1 << 20)
    with pytest.raises(DataError, match=r"unpacks from 0\.0 MB to 4 MB; at most 1 MB are read"):
        storage.read_arrays(tmp_path / "x.npz", limits)


def test_truncated_arrays_are_corrupt(tmp_path):
    storage.write_arrays(tmp_path / "x.npz", {"a": np.zeros(1000)}, {})
    data = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptArtifact, match="damaged"):
        storage.read_arrays(tmp_path / "x.npz")


def test_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    import torch

    store = storage.CheckpointStore(folder=tmp_path)
    store.save(1, {"w": torch.ones(4)}, {"epoch": 1})
    folder = store.save(2, {"w": torch.full((4,), 2.0)}, {"epoch": 2})
    file = folder / "tensors.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1  # one bit of a weight; safetensors itself does not notice
    file.write_bytes(bytes(data))
    checkpoint = store.latest()
    assert checkpoint is not None and checkpoint.step == 1
    assert checkpoint.tensors["w"].tolist() == [1, 1, 1, 1]


def test_store_keeps_the_last_three_and_milestones(tmp_path):
    import torch

    store = storage.CheckpointStore(folder=tmp_path, keep=3, keep_every=4)
    for step in range(1, 9):
        store.save(step, {"w": torch.zeros(1)}, {})
    assert store.steps() == [4, 6, 7, 8]


def test_second_process_is_refused_with_the_holder_named_and_a_killed_one_frees_the_lock(tmp_path):
    code = (
        "import sys, time, pathlib\nfrom parc_motion.storage import RunLock\n"
        "with RunLock(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RunLocked, match=rf'another process works here: {{"pid": {holder.pid}'),
            storage.RunLock(tmp_path),
        ):
            pass
    finally:
        holder.kill()
        holder.wait()
    with storage.RunLock(tmp_path):
        pass
