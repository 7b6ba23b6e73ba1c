"""Arrays of an `.npz` file, checked before they are unpacked; pickled ones are refused."""

from __future__ import annotations

import io
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterable

import numpy as np

from parc_data.formats.format import MAX_FILE_BYTES, read_file_bytes
from parc_motion.errors import DataError

__all__ = ["read_npz"]

_MAX_MEMBERS = 1000
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, RuntimeError, MemoryError, OverflowError,
    SyntaxError, TypeError, AttributeError, IndexError,
)  # fmt: skip


def read_npz(path: pathlib.Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Those of the named arrays that the file holds; others are not unpacked.

    Raises:
        DataError: the file is no archive of arrays, is damaged or too large, or one of the arrays is pickled.
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
            return {name: _array(archive.read(one), f"{path}: {name}") for name, one in chosen.items()}
    except DataError:
        raise
    except _DAMAGED as err:
        raise DataError(f"{path}: no readable .npz archive ({err or type(err).__name__}).") from err


def _array(data: bytes, where: str) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    if dtype.hasobject:
        raise DataError(f"{where} is pickled (dtype {dtype}), which is not read. Save it as plain numbers.")
    if math.prod(shape) * dtype.itemsize > len(data):
        raise DataError(f"{where} has shape {list(shape)[:8]}, but only {len(data)} bytes.")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
