"""Motion lists: text files that name motions with their sampling weights.

There are two forms. PARC writes manifests, ``{format, digest, motions}``, which say everything about each clip
(`MotionDataset.save`). The published form is ``{motions: [{file, weight}]}``; here a motion may also state its
``class``.

Source: `parc_motion.published`, its motion library and data-set creation.
"""

from __future__ import annotations

import math
import os
import pathlib
import re
from typing import Any

import attrs

from parc_motion import storage
from parc_motion.checks import MAX_FRAMES, check_frame_rate, check_name
from parc_motion.clips.plain_yaml import parse_yaml
from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["ListedMotion", "MotionList", "read_motion_list"]

_MANIFEST_KEYS = ("format", "digest", "motions", "sha256")
_MANIFEST_ROW = ("file", "name", "class", "weight", "num_frames", "fps", "origin", "sha256")
_MANIFEST_KEYS_OF_ROW = set(_MANIFEST_ROW)
# name, class, origin, digest and file of a row, a line each
_USUAL_TEXTS = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}\n){4}[A-Za-z0-9_./-]{1,1000}")
_ROW = ("file", "weight", "class")
_KINDS: dict[str, Any] = {"num_frames": int, "fps": (int, float), "origin": str, "sha256": str}
_FORMAT = 2  # 1 was not sealed
_MAX_YAML_BYTES = 32 << 20
_MAX_WEIGHT = 1e12  # so that sums stay finite
_MAX_FILE_CHARS = 4096


@attrs.frozen(kw_only=True)
class ListedMotion:
    """One motion of a list; what the published form does not state is None."""

    file: pathlib.Path  # absolute; relative names are taken from the folder of the list
    weight: float  # sampling weight relative to the others, 0 or more
    motion_class: str | None = None
    name: str | None = None
    num_frames: int | None = None
    fps: float | None = None
    origin: str = "input"
    digest: str | None = None  # SHA-256 of the file


@attrs.frozen(kw_only=True)
class MotionList:
    """The motions of a list, in its order."""

    path: pathlib.Path
    is_manifest: bool  # written by PARC, so that every field of every motion is there
    motions: tuple[ListedMotion, ...]

    def require_files(self) -> None:
        """Passes if every file is there.

        Raises:
            DataError: one is missing.
        """
        missing = [motion.file for motion in self.motions if not motion.file.is_file()]
        if missing:
            raise DataError(
                f"{self.path}: {len(missing)} of {len(self.motions)} files are missing, the first is {missing[0]}. "
                f"Relative names are taken from {self.path.parent.resolve()}. Correct them in the list."
            )


def read_motion_list(path: pathlib.Path) -> MotionList:
    """The motions that a list of either form names; whether their files exist is not looked at.

    Raises:
        DataError: the file is not a motion list, a key is unknown or missing, a weight is not a number of 0 or more, or
            all weights are 0.
    """
    document = _document(path)
    if not isinstance(document, dict) or not isinstance(document.get("motions"), list):
        raise DataError(
            f"{path}: not a motion list. Expected `motions:` with rows of file and weight, or a manifest of PARC."
        )
    is_manifest = "format" in document
    if is_manifest and document["format"] not in (1, _FORMAT):
        raise DataError(f"{path}: manifest of format {document['format']!r}; this version reads {_FORMAT}.")
    if is_manifest:
        _check_seal(document, path)
    _refuse_unknown(document, _MANIFEST_KEYS if is_manifest else ("motions",), f"{path}")
    folder = os.path.realpath(path.parent)
    places = _Places(folder)
    motions = tuple(
        _usual(row, places) or _motion(row, f"{path}: motion {number}", folder, is_manifest)
        for number, row in enumerate(document["motions"], 1)
    )
    if not motions and not is_manifest:
        raise DataError(f"{path}: it names no motion. Give it rows of file and weight.")
    if motions and not any(motion.weight > 0 for motion in motions):
        raise DataError(f"{path}: all {len(motions)} weights are 0, expected one above 0.")
    return MotionList(path=path, is_manifest=is_manifest, motions=motions)


def _check_seal(document: dict, path: pathlib.Path) -> None:
    try:
        storage.check_seal(document, path, since_format=_FORMAT)
    except CorruptArtifact as err:
        raise CorruptArtifact(
            f"{err} Make it again (`parc data weights`); to choose weights by hand, write a list of file, weight and "
            "class without `format`."
        ) from err


def _document(path: pathlib.Path) -> Any:
    """The content of a YAML file; JSON, as PARC writes it, is read by the faster reader."""
    try:
        return storage.read_json(path)
    except CorruptArtifact as err:
        data = storage.read_file(path, _MAX_YAML_BYTES, "YAML lists")
        if data.lstrip().startswith(b"{"):  # a manifest of PARC, damaged
            raise err
        return parse_yaml(data, path)


class _Places(dict[str, pathlib.Path]):
    """Folders as a list writes them: hundreds of its files lie in the same one."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, written: str) -> pathlib.Path:
        self[written] = found = pathlib.Path(os.path.normpath(os.path.join(self._folder, written)))
        return found


def _usual(row: Any, places: _Places) -> ListedMotion | None:
    """The motion of a manifest's row as PARC writes most, checked at once; None for any other row.

    A manifest may have a hundred thousand rows.
    """
    if type(row) is not dict or row.keys() != _MANIFEST_KEYS_OF_ROW:
        return None
    file, frames, weight, fps = row["file"], row["num_frames"], row["weight"], row["fps"]
    try:
        texts = "\n".join((row["name"], row["class"], row["origin"], row["sha256"], file))
    except TypeError:
        return None
    if not (_USUAL_TEXTS.fullmatch(texts) and type(weight) is float and type(fps) is float):
        return None
    if not (
        type(frames) is int and 0 < frames <= MAX_FRAMES and 0 <= weight <= _MAX_WEIGHT and 1 <= fps <= 1000
    ):
        return None
    folder, slash, name = file.rpartition("/")
    if name in ("", ".", ".."):
        return None
    return ListedMotion(
        file=places[folder + slash] / name,
        weight=weight,
        motion_class=row["class"],
        name=row["name"],
        num_frames=frames,
        fps=fps,
        origin=row["origin"],
        digest=row["sha256"],
    )


def _motion(row: Any, where: str, folder: str, is_manifest: bool) -> ListedMotion:
    if not isinstance(row, dict):
        raise DataError(f"{where} is {row!r:.80}, expected `file:` and `weight:`.")
    file = row.get("file")
    if not isinstance(file, str) or not file or "\0" in file or len(file) > _MAX_FILE_CHARS:
        raise DataError(f"{where}: file is {file!r:.80}, expected the path of a motion.")
    where = f"{where} ('{file:.120}')"
    _refuse_unknown(row, _MANIFEST_ROW if is_manifest else _ROW, where)
    missing = [key for key in _MANIFEST_ROW if is_manifest and key not in row]
    if missing:
        raise DataError(
            f"{where}: '{missing[0]}' is missing from a manifest of PARC. Make it again (`parc data weights`), or "
            "write a list of file, weight and class without `format`."
        )
    for key in ("name", "class"):
        if is_manifest or row.get(key) is not None:
            check_name(row[key], f"{where}: its {key}")
    if is_manifest:
        _check_manifest_row(row, where)
    return ListedMotion(
        file=pathlib.Path(os.path.normpath(os.path.join(folder, os.path.expanduser(file)))),
        weight=_weight(row.get("weight", 1.0), where),
        motion_class=row.get("class"),
        name=row.get("name"),
        num_frames=row.get("num_frames"),
        fps=row.get("fps"),
        origin=row.get("origin", "input"),
        digest=row.get("sha256"),
    )


def _check_manifest_row(row: dict, where: str) -> None:
    for key, kind in _KINDS.items():
        value = row[key]
        if not isinstance(value, kind) or isinstance(value, bool) or (kind is not str and not value > 0):
            expected = "text" if kind is str else "a number above 0"
            raise DataError(f"{where}: {key} is {value!r:.80}, expected {expected}. Make the manifest again.")
    check_frame_rate(row["fps"], f"{where}: fps")
    if row["num_frames"] > MAX_FRAMES:
        raise DataError(f"{where}: num_frames is {row['num_frames']!r:.80}, expected at most {MAX_FRAMES}.")


def _weight(value: Any, where: str) -> float:
    number = math.nan
    # YAML 1.1 reads 1e-3, without a point, as text
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 <= number <= _MAX_WEIGHT:
        long = isinstance(value, int) and value.bit_length() > 64  # Python refuses to write out long integers
        shown = f"of {value.bit_length()} bits" if long else repr(value)
        raise DataError(f"{where} has weight {shown:.40}, expected a number of 0 or more. Correct it.")
    return number


def _refuse_unknown(mapping: dict, known: tuple[str, ...], where: str) -> None:
    unknown = [key for key in mapping if key not in known]
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r:.80}. Known are {', '.join(known)}. Remove it.")
