"""Manifests: a JSON file that lists its folder's files with their digests."""

from __future__ import annotations

import pathlib
from typing import Any

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.atomic import write_json
from parc_motion.storage.digests import digest_file, digest_folder, read_json

__all__ = ["read_manifest", "write_manifest"]

_FORMAT = 1


def write_manifest(folder: pathlib.Path, kind: str, fields: dict[str, Any]) -> None:
    """Write `<kind>.json`: the fields, and SHA-256 and size of every other file in the folder."""
    name = f"{kind}.json"
    files = {key: value for key, value in digest_folder(folder).items() if key != name}
    write_json(folder / name, {"format": _FORMAT, "kind": kind, "fields": fields, "files": files})


def read_manifest(folder: pathlib.Path, kind: str, *, verify: bool = True) -> dict[str, Any]:
    """The fields of `<kind>.json`, after the files that it lists were checked.

    Raises:
        DataError: no such manifest, or of another kind or format.
        CorruptArtifact: a listed file is missing or its digest differs.
    """
    path = folder / f"{kind}.json"
    if not path.is_file():
        raise DataError(f"{folder}: no {kind} here ({path.name} is missing). Give the folder that holds it.")
    document = read_json(path)
    if not isinstance(document, dict) or document.get("kind") != kind or document.get("format") != _FORMAT:
        raise DataError(f"{path}: not a {kind} of format {_FORMAT}.")
    for name, expected in document["files"].items() if verify else ():
        file = folder / name
        if not file.is_file():
            raise CorruptArtifact(f"{file}: missing, but listed in {path.name}.")
        if digest_file(file) != expected["sha256"]:
            raise CorruptArtifact(
                f"{file}: its SHA-256 differs from the one recorded in {path.name}; the file is damaged."
            )
    return document["fields"]
