"""Network weights and other tensors as safetensors: no pickle, durable, readable by colleagues."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.atomic import write_bytes

if TYPE_CHECKING:
    import torch

__all__ = ["read_tensors", "write_tensors"]


def write_tensors(path: pathlib.Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors durably. safetensors has no checksum: list the file in a manifest."""
    from safetensors.torch import save

    plain = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(path, save(plain))


def read_tensors(path: pathlib.Path, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The tensors of a file, on `device`.

    Raises:
        DataError: the file cannot be read.
        CorruptArtifact: it is not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return {name: tensor.to(device) for name, tensor in load(path.read_bytes()).items()}
    except SafetensorError as err:
        raise CorruptArtifact(f"{path}: not a safetensors file: {err}.") from err
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err
