"""Kept statistics are used for what they were made from, and for nothing else."""

import pytest
import torch

from parc_mdm.config import MdmConfig
from parc_mdm.generator import MdmGenerator
from parc_mdm.statistics import cached_statistics
from parc_motion.skeletons import load_skeleton
from parc_motion.storage import write_bytes
from parc_testing.builders import make_clip
from parc_testing.context import make_context
from parc_testing.contracts.generator import tiny_dataset


class Compute:
    """Counts how often it is asked."""

    def __init__(self, value: float) -> None:
        self.value, self.calls = value, 0

    def __call__(self) -> dict[str, torch.Tensor]:
        self.calls += 1
        return {"mean": torch.full((2,), self.value)}


def kept(folder, key, value):
    compute = Compute(value)
    return float(cached_statistics(folder, key, compute, "cpu")["mean"][0]), compute.calls


def test_same_key_reads_what_was_kept(tmp_path):
    assert kept(tmp_path, "a", 1.0) == (1.0, 1)
    assert kept(tmp_path, "a", 2.0) == (1.0, 0)


def test_other_key_is_computed_anew_and_kept(tmp_path):
    kept(tmp_path, "a", 1.0)
    assert kept(tmp_path, "b", 2.0) == (2.0, 1)
    assert kept(tmp_path, "b", 3.0) == (2.0, 0)


@pytest.mark.parametrize("file", ["statistics.safetensors", "statistics.json"])
def test_damaged_file_is_computed_anew(tmp_path, file):
    kept(tmp_path, "a", 1.0)
    data = bytearray((tmp_path / file).read_bytes())
    data[-1] ^= 1
    write_bytes(tmp_path / file, bytes(data))
    assert kept(tmp_path, "a", 2.0) == (2.0, 1)


def test_missing_numbers_are_computed_anew(tmp_path):
    kept(tmp_path, "a", 1.0)
    (tmp_path / "statistics.safetensors").unlink()
    assert kept(tmp_path, "a", 2.0) == (2.0, 1)


def test_training_on_a_changed_data_set_does_not_use_old_statistics(tmp_path):
    def mean(folder, clips):
        config = MdmConfig.preset("tiny", epochs=1, iters_per_epoch=1)
        generator = MdmGenerator(config, skeleton=load_skeleton(), device="cpu")
        context = make_context(folder)
        for (
            step
        ) in context.checkpoints.steps():  # a new attempt in a folder where an old one left its statistics
            (context.checkpoints.folder / f"model_{step:010d}" / "checkpoint.json").unlink()
        generator.fit(tiny_dataset(tmp_path / "data", clips), context)
        return generator.model.mean

    slow, fast = [make_clip(20, name="walk", speed=0.5)], [make_clip(20, name="walk", speed=2.0)]
    first = mean(tmp_path / "same", slow)
    second = mean(tmp_path / "same", fast)
    # the last frame is 13 frames after the reference: 13 / 30 s at 0.5 and 2 m/s
    assert float(first[14, 0]) == pytest.approx(0.5 * 13 / 30, abs=1e-4)
    assert float(second[14, 0]) == pytest.approx(2.0 * 13 / 30, abs=1e-4)
