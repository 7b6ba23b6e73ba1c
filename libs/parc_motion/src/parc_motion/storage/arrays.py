"""Arrays in `.npz` and `.npy` files: no pickle, and sizes are checked before anything is unpacked.

PARC's own files hold a JSON header beside the arrays (`read_arrays`, `write_arrays`); importers read files of others
with `read_npz` and `read_npy`.
"""

from __future__ import annotations

import io
import json
import math
import pathlib
import tokenize
import zipfile
from collections.abc import Iterable
from typing import IO, Any

import attrs
import numpy as np

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.archives import BROKEN_ARCHIVE, ArchiveLimits, open_archive
from parc_motion.storage.atomic import write_bytes
from parc_motion.storage.digests import digest_bytes
from parc_motion.storage.files import read_file
from parc_motion.storage.json_text import parse_json

__all__ = [
    "DAMAGED", "ArrayLimits", "array_names", "npy_header", "read_arrays", "read_npy", "read_npz", "write_arrays",
]  # fmt: skip

_HEADER = "header"
_SUFFIX = ".npy"
_MAX_HEADER_BYTES = 16 << 20
_CHUNK = 1 << 20  # bytes read at once
_COUNTED_BYTES = 4  # an element counts as this many at least: smaller types are widened when they are used
_NUMBERS = "biuf"  # kinds of NumPy types
_NUMBERS_AND_TEXT = "biufcSU"
# what NumPy and zipfile are known to raise on damaged files
DAMAGED = (*BROKEN_ARCHIVE, SyntaxError, RecursionError, tokenize.TokenError)


@attrs.frozen(kw_only=True)
class ArrayLimits:
    """What a file may hold; a file beyond it is refused before it is read."""

    file_bytes: int = 512 << 20
    total_bytes: int = 1 << 30  # of all arrays, unpacked
    num_arrays: int = 64


def write_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> str:
    """Write arrays and header durably; returns the SHA-256 of the file. Equal content gives equal bytes.

    Raises:
        DataError: an array holds Python objects.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject or name == _HEADER:
            raise DataError(f"{path}: array '{name}' cannot be stored (dtype {array.dtype}).")
    text = json.dumps(header, allow_nan=False, ensure_ascii=False, sort_keys=True).encode()
    buffer = io.BytesIO()
    members: dict[str, Any] = {_HEADER: np.frombuffer(text, dtype=np.uint8), **arrays}
    np.savez_compressed(buffer, **members)
    write_bytes(path, buffer.getbuffer())
    return digest_bytes(buffer.getbuffer())


def read_arrays(
    path: pathlib.Path, limits: ArrayLimits = ArrayLimits()
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays of numbers and header of a file that `write_arrays` wrote.

    Raises:
        DataError: the file cannot be read, is beyond the limits or holds something else.
        CorruptArtifact: it is damaged.
    """
    limits = attrs.evolve(limits, num_arrays=limits.num_arrays + 1)
    arrays = _read_members(path, None, limits, _NUMBERS)
    header = arrays.pop(_HEADER, None)
    if header is None or header.dtype != np.uint8 or header.ndim != 1 or header.size > _MAX_HEADER_BYTES:
        raise DataError(
            f"{path}: has no header; it was not written by PARC. `parc data import` reads other formats."
        )
    fields = parse_json(header.tobytes(), f"{path}: its header")
    if not isinstance(fields, dict):
        raise CorruptArtifact(f"{path}: its header is a {type(fields).__name__}, expected an object.")
    return arrays, fields


def read_npz(
    path: pathlib.Path, names: Iterable[str], limits: ArrayLimits = ArrayLimits(num_arrays=1000)
) -> dict[str, np.ndarray]:
    """Those of the named arrays that an `.npz` file of others holds; others are not unpacked.

    Raises:
        DataError: the file is not an archive of arrays, is damaged or too large, or one of the arrays holds something
            else than numbers or text.
    """
    return _read_members(path, set(names), limits, _NUMBERS_AND_TEXT)


def array_names(path: pathlib.Path, limits: ArrayLimits = ArrayLimits(num_arrays=1000)) -> list[str]:
    """Names of the arrays in an `.npz` file, sorted; nothing is unpacked.

    Raises:
        DataError: the file is not an archive, is damaged or too large.
    """
    data = read_file(path, limits.file_bytes, "files of arrays")
    with open_archive(data, path, _archive_limits(limits)) as archive:
        return sorted(name.removesuffix(_SUFFIX) for name in archive.namelist())


def read_npy(data: bytes, where: str) -> np.ndarray:
    """The array in the bytes of a `.npy` file.

    Raises:
        DataError: they are damaged, or hold something else than numbers or text.
    """
    return _read_array(io.BytesIO(data), len(data), where, _NUMBERS_AND_TEXT)


def npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and type that a `.npy` file states; raises one of `DAMAGED` if it is not one."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"version {version} of the .npy format")
    return read[version](stream)


def _read_members(
    path: pathlib.Path, names: set[str] | None, limits: ArrayLimits, kinds: str
) -> dict[str, np.ndarray]:
    data = read_file(path, limits.file_bytes, "files of arrays")
    arrays: dict[str, np.ndarray] = {}
    room = _archive_limits(limits).unpacked(len(data))
    with open_archive(data, path, _archive_limits(limits)) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(_SUFFIX)
            if names is not None and name not in names:
                continue
            if name == member.filename:
                raise DataError(f"{path}: its member {name!r:.120} is not an array; only arrays are read.")
            with _open_member(archive, member, path) as stream:
                array = _read_array(stream, member.file_size, f"{path}: {name:.120}", kinds)
            room -= array.size * max(array.itemsize, _COUNTED_BYTES)
            if room < 0:
                raise DataError(
                    f"{path}: {name:.120}: {array.size} numbers are too many for {len(data)} bytes."
                )
            arrays[name] = array
    return arrays


def _archive_limits(limits: ArrayLimits) -> ArchiveLimits:
    return ArchiveLimits(members=limits.num_arrays, total_bytes=limits.total_bytes)


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: pathlib.Path) -> IO[bytes]:
    try:
        return archive.open(member)
    except BROKEN_ARCHIVE as err:
        raise CorruptArtifact(f"{path}: {member.filename!r:.120} is damaged: {_first_line(err)}.") from err


def _read_array(stream: IO[bytes], size: int, where: str, kinds: str) -> np.ndarray:
    """The array in a stream of `size` bytes; its header has to account for all of them."""
    try:
        shape, fortran, dtype = npy_header(stream)
        left = size - stream.tell()
        if dtype.hasobject:
            raise DataError(
                f"{where} is pickled (dtype {dtype}), which is not read. Save it as plain numbers."
            )
        if dtype.kind not in kinds:
            raise DataError(f"{where} holds {dtype!s:.60}, expected plain numbers. Save it as such.")
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * dtype.itemsize != left:
            raise DataError(f"{where} has shape {list(shape)[:8]} of {dtype}, but {left} bytes.")
        raw = np.empty(left, dtype=np.uint8)
        for start in range(0, left, _CHUNK):
            part = stream.read(min(_CHUNK, left - start))
            raw[start : start + len(part)] = np.frombuffer(part, dtype=np.uint8)
            if len(part) < min(_CHUNK, left - start):
                raise EOFError("it is cut off")
        return raw.view(dtype).reshape(shape, order="F" if fortran else "C")
    except DAMAGED as err:
        raise CorruptArtifact(f"{where} is damaged: {_first_line(err)}. Save it again.") from err


def _first_line(err: BaseException) -> str:
    return (str(err) or type(err).__name__).splitlines()[0].rstrip(".")[:200]
