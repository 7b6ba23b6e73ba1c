"""Digests of files, folders and JSON values: SHA-256, in hexadecimal."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["digest_bytes", "digest_file", "digest_folder", "digest_json", "read_json"]


def digest_bytes(data: bytes | memoryview) -> str:
    """SHA-256 of the bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: pathlib.Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err


def digest_folder(folder: pathlib.Path, skip: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """`{relative name: {sha256, size}}` of every file below the folder, sorted by name; temporary files left out.

    Args:
        skip: beginnings of relative names that are left out, e.g. ``("checkpoints/",)``.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {
        name: {"sha256": digest_file(path), "size": path.stat().st_size}
        for name, path in named.items()
        if not name.startswith(skip)
    }


def digest_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form: sorted keys, no spaces."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def read_json(path: pathlib.Path) -> Any:
    """The value in a JSON file.

    Raises:
        DataError: the file cannot be read.
        CorruptArtifact: it is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err
    except (ValueError, RecursionError) as err:
        raise CorruptArtifact(f"{path}: not a JSON file: {err}.") from err
