"""Digests of files, folders and JSON values: SHA-256, in hexadecimal."""

from __future__ import annotations

import hashlib
import json
import pathlib
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from parc_motion.errors import DataError
from parc_motion.storage.files import open_file, read_file
from parc_motion.storage.json_text import parse_json

__all__ = [
    "digest_bytes",
    "digest_file",
    "digest_folder",
    "digest_json",
    "digest_unchanged",
    "file_state",
    "read_json",
]

_MAX_JSON_BYTES = 256 << 20  # a manifest of a million clips
_SETTLED_S = (
    0.1  # younger files may change again within the same clock tick of the file system, which would not show
)
_digests: dict[tuple[int, int, int, int], str] = {}


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 of the bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: pathlib.Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_file(path) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err


def digest_unchanged(path: pathlib.Path) -> str:
    """SHA-256 of a file's content, read again by this process only if its size or time of change differs.

    The file is known by its inode, so it may be renamed in between. A file that was written within the last 0.1 s is
    read when it has reached that age, so that a later change shows in its time; the wait is one for all files of that
    moment. A file whose time lies in the future is read each time.

    Raises:
        DataError: the file cannot be read.
    """
    key = file_state(path)
    if key in _digests:
        return _digests[key]
    age = _age(key)
    if 0.0 <= age < _SETTLED_S:
        time.sleep(_SETTLED_S - age)
        key = file_state(path)
    digest = digest_file(path)
    if _age(key) >= _SETTLED_S:
        _digests[key] = digest
    return digest


def file_state(path: pathlib.Path) -> tuple[int, int, int, int]:
    """Device, inode, size in bytes, and time of the last change in ns: what differs where a file was written again.

    Raises:
        DataError: the file cannot be looked at.
    """
    try:
        state = path.stat()
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _age(key: tuple[int, int, int, int]) -> float:
    """Seconds since the change that a `file_state` tells."""
    return time.time() - key[3] / 1e9


def digest_folder(
    folder: pathlib.Path, skip: tuple[str, ...] = (), known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, dict[str, Any]]:
    """`{relative name: {sha256, size}}` of every file below the folder, sorted by name; temporary files left out.

    Args:
        skip: beginnings of relative names that are left out, e.g. ``("checkpoints/",)``.
        known: digests of files that this process wrote, by relative name; these files are not read again.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: {"sha256": known.get(name) or digest_file(path), "size": path.stat().st_size}
        for name, path in named.items()
        if not name.startswith(skip)
    }


def digest_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form: sorted keys, no spaces."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def read_json(path: pathlib.Path) -> Any:
    """The value in a JSON file.

    Raises:
        DataError: the file cannot be read, is not a regular file or larger than 256 MiB.
        CorruptArtifact: it is not JSON with finite numbers, nested at most 64 deep.
    """
    return parse_json(read_file(path, _MAX_JSON_BYTES, "JSON files"), path)
