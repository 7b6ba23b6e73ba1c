"""Arrays with a JSON header in one `.npz` file; no pickle, sizes checked before anything is read."""

from __future__ import annotations

import io
import json
import pathlib
import zipfile
import zlib
from typing import Any

import attrs
import numpy as np

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.atomic import write_bytes
from parc_motion.storage.digests import digest_bytes

__all__ = ["ArrayLimits", "read_arrays", "write_arrays"]

_HEADER = "header"


@attrs.frozen(kw_only=True)
class ArrayLimits:
    """What a file may hold; a file beyond it is refused before it is read."""

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
    """Arrays and header of a file.

    Raises:
        DataError: the file cannot be read, is beyond the limits or holds objects.
        CorruptArtifact: it is damaged.
    """
    try:
        with path.open("rb") as stream:
            with zipfile.ZipFile(stream) as archive:
                _check_limits(path, archive.infolist(), limits)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as err:
        raise CorruptArtifact(f"{path}: damaged or not an .npz file: {err}.") from err
    except ValueError as err:
        raise DataError(f"{path}: {err}. Clips hold plain numbers only.") from err
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror or err}.") from err
    header = arrays.pop(_HEADER, None)
    if header is None or header.dtype != np.uint8 or header.ndim != 1:
        raise DataError(
            f"{path}: has no header; it was not written by PARC. `parc data import` reads other formats."
        )
    try:
        fields = json.loads(header.tobytes())
    except (ValueError, RecursionError) as err:
        raise CorruptArtifact(f"{path}: its header is not JSON: {err}.") from err
    if not isinstance(fields, dict):
        raise CorruptArtifact(f"{path}: its header is a {type(fields).__name__}, expected an object.")
    return arrays, fields


def _check_limits(path: pathlib.Path, members: list[zipfile.ZipInfo], limits: ArrayLimits) -> None:
    total = sum(member.file_size for member in members)
    if total > limits.total_bytes or len(members) > limits.num_arrays + 1:
        raise DataError(
            f"{path}: unpacks to {total / 1e6:.0f} MB in {len(members)} arrays; at most "
            f"{limits.total_bytes / 1e6:.0f} MB in {limits.num_arrays} are read. Is it a clip?"
        )
