"""Weights in files: all of them finite, or the file and the tensor are named."""

import re

import pytest
import torch

from parc_motion.errors import DataError
from parc_motion.storage import CheckpointStore, read_tensors, write_tensors


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensor_that_is_not_finite_is_not_written(tmp_path, value, dtype):
    weights = torch.zeros(2, 3, dtype=dtype)
    weights[1, 2] = float(value)
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"sound": torch.ones(2), "count": torch.tensor([2**62]), "flag": torch.tensor(True)})
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        write_tensors(path, {"sound": torch.ones(2), "net.weight": weights})
    assert str(caught.value) == (
        f"{path}: tensor 'net.weight' has 1 of 6 numbers that are not finite, the first at [1, 2]: {value}. It is not "
        "written. The training that made it has diverged."
    )
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_file_with_such_a_tensor_is_refused_by_name(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "policy.safetensors"
    save_file({"scale": torch.tensor(float("nan")), "sound": torch.ones(1)}, path)
    with pytest.raises(DataError, match=re.escape(f"{path}: tensor 'scale' has 1 of 1 numbers")):
        read_tensors(path)


def test_checkpoint_with_such_a_tensor_is_neither_written_nor_the_latest(tmp_path):
    store = CheckpointStore(folder=tmp_path)
    store.save(1, {"w": torch.ones(1)}, {})
    with pytest.raises(DataError, match="tensor 'w'"):
        store.save(2, {"w": torch.full((1,), float("nan"))}, {})
    assert store.steps() == [1] and store.latest().step == 1
