"""Manifests: a JSON file that lists its folder's files with their digests."""

from __future__ import annotations

import pathlib
from typing import Any

from parc_motion.errors import CorruptArtifact, DataError
from parc_motion.storage.digests import digest_file, digest_folder, digest_json
from parc_motion.storage.sealed import read_sealed, write_sealed

__all__ = ["manifest_digest", "read_manifest", "write_manifest"]

_FORMAT = 2  # 1 was not sealed


def write_manifest(folder: pathlib.Path, kind: str, fields: dict[str, Any]) -> None:
    """Write `<kind>.json`: the fields, and SHA-256 and size of every other file in the folder."""
    name = f"{kind}.json"
    files = {key: value for key, value in digest_folder(folder).items() if key != name}
    write_sealed(folder / name, {"format": _FORMAT, "kind": kind, "fields": fields, "files": files})


def read_manifest(folder: pathlib.Path, kind: str, *, verify: bool = True) -> dict[str, Any]:
    """The fields of `<kind>.json`, after the files that it lists were checked.

    Raises:
        DataError: no such manifest, or of another kind or format.
        CorruptArtifact: a listed file is missing or its digest differs, or that of the manifest does.
    """
    document = _document(folder, kind)
    for name, expected in document["files"].items() if verify else ():
        file = folder / name
        if not file.is_file():
            raise CorruptArtifact(f"{file}: missing, but listed in {kind}.json.")
        if digest_file(file) != expected["sha256"]:
            raise CorruptArtifact(
                f"{file}: its SHA-256 differs from the one recorded in {kind}.json; the file is damaged."
            )
    return document["fields"]


def manifest_digest(folder: pathlib.Path, kind: str) -> str:
    """SHA-256 of what a manifest lists and of itself; other files in the folder do not count.

    Raises:
        DataError: as `read_manifest`.
    """
    files = {**_document(folder, kind)["files"], f"{kind}.json": None}
    rows = {
        name: {"sha256": digest_file(folder / name), "size": (folder / name).stat().st_size}
        for name in sorted(files)
    }
    return digest_json(rows)


def _document(folder: pathlib.Path, kind: str) -> dict[str, Any]:
    path = folder / f"{kind}.json"
    if not path.is_file():
        raise DataError(f"{folder}: no {kind} here ({path.name} is missing). Give the folder that holds it.")
    document = read_sealed(path, since_format=_FORMAT)
    if document.get("kind") != kind or document.get("format") not in (1, _FORMAT):
        raise DataError(f"{path}: not a {kind} of format {_FORMAT}.")
    if not isinstance(document.get("fields"), dict) or not isinstance(document.get("files"), dict):
        raise CorruptArtifact(f"{path}: its fields or files are missing; it is damaged.")
    return document
