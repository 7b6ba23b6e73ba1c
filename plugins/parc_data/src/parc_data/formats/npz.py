"""Arrays of `.npy` and `.npz` files, checked before they are unpacked; pickled ones are refused."""

from __future__ import annotations

import io
import math
import pathlib
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable

import numpy as np

from parc_data.formats.format import MAX_FILE_BYTES, read_file_bytes
from parc_motion.errors import DataError

__all__ = ["DAMAGED", "MAGIC", "array_names", "npy_header", "read_npy", "read_npz"]

MAGIC = b"\x93NUMPY"
_MAX_MEMBERS = 1000
# what NumPy and zipfile are known to raise on damaged files
DAMAGED = (
    ValueError, EOFError, OSError, TypeError, KeyError, IndexError, SyntaxError, RecursionError, MemoryError,
    OverflowError, RuntimeError, NotImplementedError, AttributeError, struct.error, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def npy_header(stream: io.BytesIO) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that the header of a `.npy` file states; raises one of `DAMAGED` if it is not one."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version} of the .npy format")
    shape, _, dtype = read[version](stream)
    return shape, dtype


def read_npy(data: bytes, where: str) -> np.ndarray:
    """The array in the bytes of a `.npy` file.

    Raises:
        DataError: they are damaged or pickled.
    """
    try:
        shape, dtype = npy_header(io.BytesIO(data))
        if dtype.hasobject:
            raise DataError(
                f"{where} is pickled (dtype {dtype}), which is not read. Save it as plain numbers."
            )
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > len(data):
            raise DataError(f"{where} has shape {list(shape)[:8]} of {dtype}, but only {len(data)} bytes.")
        return np.load(io.BytesIO(data), allow_pickle=False)
    except DAMAGED as err:
        raise DataError(f"{where} is damaged: {_first_line(err)}. Save it again.") from err


def read_npz(path: pathlib.Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the named arrays that an `.npz` file holds; others are not unpacked.

    Raises:
        DataError: the file is not an archive of arrays, is damaged or too large, or one of the arrays is pickled.
    """
    data = read_file_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise DataError(f"{path}: holds {len(members)} members; up to {_MAX_MEMBERS} are read.")
            wanted = {f"{name}.npy": name for name in names}
            chosen = {wanted[one.filename]: one for one in members if one.filename in wanted}
            unpacked = sum(one.file_size for one in chosen.values())
            if unpacked > MAX_FILE_BYTES:
                raise DataError(f"{path}: its arrays unpack to {unpacked / 1e6:.0f} MB.")
            raw = {name: archive.read(one) for name, one in chosen.items()}
    except DAMAGED as err:
        raise DataError(f"{path}: not a readable .npz archive ({_first_line(err)}).") from err
    return {name: read_npy(member, f"{path}: {name}") for name, member in raw.items()}


def array_names(path: pathlib.Path) -> list[str]:
    """Names of the arrays in an `.npz` file, sorted; raises one of `DAMAGED` if it is not one."""
    with zipfile.ZipFile(path) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def _first_line(err: Exception) -> str:
    return (str(err) or type(err).__name__).splitlines()[0].rstrip(".")[:200]
