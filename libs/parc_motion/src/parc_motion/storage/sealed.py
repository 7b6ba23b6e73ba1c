"""JSON documents that hold their own SHA-256, so that a damaged one is noticed and never believed."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from parc_motion.errors import CorruptArtifact
from parc_motion.storage.atomic import write_json
from parc_motion.storage.digests import digest_json, read_json

__all__ = ["check_seal", "read_sealed", "sealed", "write_sealed"]

_SEAL = "sha256"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the SHA-256 of everything else in it, as ``sha256``."""
    plain = json.loads(json.dumps(document, allow_nan=False))
    return {**document, _SEAL: digest_json(plain)}


def write_sealed(path: pathlib.Path, document: Mapping[str, Any]) -> None:
    """Write a document durably, for `read_sealed`."""
    write_json(path, sealed(document))


def read_sealed(path: pathlib.Path, *, since_format: int | None = None) -> dict[str, Any]:
    """The document in a file, as `write_sealed` was given it.

    Args:
        since_format: documents whose ``format`` is lower, or not stated, were written without a seal.

    Raises:
        DataError: the file cannot be read.
        CorruptArtifact: it does not hold what was written.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        raise CorruptArtifact(
            f"{path}: holds a {type(document).__name__}, expected an object; it is damaged."
        )
    return check_seal(document, path, since_format=since_format)


def check_seal(
    document: Mapping[str, Any], path: pathlib.Path, *, since_format: int | None = None
) -> dict[str, Any]:
    """The document without its seal; arguments and errors as in `read_sealed`."""
    content = {name: value for name, value in document.items() if name != _SEAL}
    number = content.get("format", 0)
    early = since_format is not None and isinstance(number, int) and number < since_format
    if early and _SEAL not in document:
        return content
    if document.get(_SEAL) != digest_json(content):
        raise CorruptArtifact(
            f"{path}: its SHA-256 differs from the one that it states; the file is damaged or was edited."
        )
    return content
