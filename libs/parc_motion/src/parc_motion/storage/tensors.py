"""Network weights and other tensors as safetensors: no pickle, durable, readable by colleagues."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.atomic import write_bytes
from parc_motion.storage.files import read_file

if TYPE_CHECKING:
    import torch

__all__ = ["read_tensors", "write_tensors"]

_MAX_BYTES = 4 << 30
_MAX_HEADER_BYTES = 2 << 20  # about 20,000 tensors


def write_tensors(path: pathlib.Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors durably, all of them finite. safetensors has no checksum: list the file in a manifest.

    Raises:
        DataError: a tensor holds NaN or an infinity; nothing is written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    _require_finite(path, plain, "It is not written. The training that made it has diverged.")
    write_bytes(path, save(plain))


def read_tensors(path: pathlib.Path, device: str = "cpu") -> dict[str, torch.Tensor]:
    """The tensors of a file, on `device`.

    Raises:
        DataError: the file cannot be read, is not a regular file or larger than 4 GiB, or a tensor in it holds NaN or
            an infinity.
        CorruptArtifact: it is not a safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = read_file(path, _MAX_BYTES, "tensors")
    if int.from_bytes(data[:8], "little") > _MAX_HEADER_BYTES:
        raise CorruptArtifact(f"{path}: not a safetensors file: its header takes more than 2 MiB.")
    try:
        tensors = load(data)
    # what safetensors and torch are known to raise: types that torch lacks, shapes that do not fit
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as err:
        raise CorruptArtifact(f"{path}: not a safetensors file: {err!s:.200}.") from err
    _require_finite(path, tensors, "The training that made it has diverged; use an earlier model.")
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _require_finite(path: pathlib.Path, tensors: dict[str, torch.Tensor], what_to_do: str) -> None:
    import torch

    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or bool(torch.isfinite(tensor).all()):
            continue
        bad = ~torch.isfinite(tensor)
        first = bad.nonzero()[0].tolist()
        value = float(tensor[tuple(first)])
        raise DataError(
            f"{path}: tensor '{name}' has {int(bad.sum())} of {tensor.numel()} numbers that are not finite, the first "
            f"at {first}: {value}. {what_to_do}"
        )
