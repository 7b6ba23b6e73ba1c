"""`DONE.json`: what a finished job says of itself, and whether its files are still what it wrote."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from parc_core.stages.places import lasting_folder
from parc_motion import storage
from parc_motion.errors import CorruptArtifact, DataError

__all__ = [
    "CHECKPOINTS",
    "RECORD",
    "JobRecord",
    "check_outputs",
    "differences",
    "leaves",
    "listed",
    "read_record",
    "write_record",
]

RECORD = "DONE.json"  # of a finished job, in its folder
CHECKPOINTS = "checkpoints/"
_FORMAT = 2  # 1 was not sealed
_SHOWN = 5  # differences that a message names
_WHAT_TO_DO = "`parc verify` with the run folder says what is damaged, and how it is made again."


@attrs.frozen(kw_only=True)
class JobRecord:
    """What a finished job left in `DONE.json`."""

    stage: str
    job: str = ""  # path of the job's folder from that of the run; "" in records of early releases
    key: str
    key_fields: dict[str, Any]
    summary: dict[str, Any]
    wall_s: float
    files: dict[str, dict[str, Any]]  # SHA-256 and size of every output by its name from the job's folder
    versions: dict[str, str] = attrs.field(factory=dict)  # of the code that made it
    machine: dict[str, Any] = attrs.field(factory=dict)  # that made it

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents of what later stages read: clips, and weights that are not checkpoints."""
        lasting = {
            name: file["sha256"]
            for name, file in self.files.items()
            if name.endswith((".npz", ".safetensors")) and not name.startswith((CHECKPOINTS, "../"))
        }
        return storage.digest_json(lasting)

    def checked(self, folder: pathlib.Path, below: str = "") -> list[pathlib.Path]:
        """Outputs of the job, compared with their SHA-256; a file is read again only if it has changed.

        Args:
            folder: of the job.
            below: name of an output, or of a folder of outputs; "" for all.

        Raises:
            CorruptArtifact: one is missing or damaged, or there is no such output.
        """
        names = [name for name in self.files if not below or name == below or name.startswith(f"{below}/")]
        if below and not names:
            raise CorruptArtifact(f"{folder / below}: {self.stage} made no such file. {_WHAT_TO_DO}")
        paths = []
        for name in names:
            problem = self.problem(folder, name)
            if problem is not None:
                raise CorruptArtifact(f"{problem} {_WHAT_TO_DO}")
            paths.append(folder / name)
        return paths

    def problem(self, folder: pathlib.Path, name: str) -> str | None:
        """What is wrong with an output; None if nothing is."""
        path = pathlib.Path(folder / name)
        if not path.is_file():
            return f"{path}: missing, but {self.stage} made it."
        if (
            path.stat().st_size != self.files[name]["size"]
            or storage.digest_unchanged(path) != self.files[name]["sha256"]
        ):
            return (
                f"{path}: differs from what {self.stage} wrote (its SHA-256 is in {RECORD}); it is damaged."
            )
        return None


def write_record(folder: pathlib.Path, record: JobRecord) -> None:
    """Write the record into a job's folder."""
    storage.write_sealed(folder / RECORD, {"format": _FORMAT, **attrs.asdict(record)})


def read_record(folder: pathlib.Path, *, superseded: bool = False) -> JobRecord | None:
    """The record of a finished job's folder, or None if there is no such folder.

    Args:
        superseded: the folder was set aside, so that it no longer has the name of its job.

    Raises:
        CorruptArtifact: the record is damaged, that of another job, or missing from a folder that holds results.
        DataError: it was written by a newer version.
    """
    path = folder / RECORD
    if not path.is_file():
        if folder.is_dir() and not folder.name.endswith(".partial") and any(folder.iterdir()):
            raise CorruptArtifact(
                f"{path}: missing, but a folder without `.partial` in its name is that of finished work, which always "
                f"has one. Restore it, or move the folder away: then it is made again. {_WHAT_TO_DO}"
            )
        return None
    try:
        document = storage.read_sealed(path, since_format=_FORMAT)
    except CorruptArtifact as err:
        raise CorruptArtifact(f"{err} {_WHAT_TO_DO}") from err
    if document.pop("format", None) not in (1, _FORMAT):
        raise DataError(f"{path}: not a record of format {_FORMAT}. Was it written by a newer version?")
    try:
        record = JobRecord(**document)
    except TypeError as err:
        raise CorruptArtifact(f"{path}: a field is missing or unknown: {err}. {_WHAT_TO_DO}") from err
    if not superseded and not _is_of(lasting_folder(pathlib.Path(os.path.abspath(folder))), record.job):
        raise CorruptArtifact(
            f"{path}: the record of {record.job}; files were swapped. Restore the one that was here. {_WHAT_TO_DO}"
        )
    return record


def _is_of(folder: pathlib.Path, job: str) -> bool:
    """Whether a folder can be that of a job."""
    parts = pathlib.PurePosixPath(job).parts
    return folder.parts[len(folder.parts) - len(parts) :] == parts


def check_outputs(folder: pathlib.Path, below: str) -> None:
    """Nothing, if outputs of a finished job are as recorded; see `JobRecord.checked`. Other folders are not looked at.

    Raises:
        CorruptArtifact: one is missing or damaged, or the record is.
    """
    record = read_record(folder)
    if record is not None:
        record.checked(folder, below)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the fields of two keys: dotted names with both values, e.g. ``inputs.keep 1 -> 2``.

    Versions of code, which earlier releases had among the fields, do not count.
    """
    old, new = leaves(before), leaves(now)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {_short(old.get(name))} -> {_short(new.get(name))}" for name in names]


def leaves(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The single values among the fields of a key, of this release or an earlier one, by dotted name."""
    return dict(_leaves(_as_written_now(fields)))


def listed(changed: list[str]) -> str:
    """The first of many differences, for a message."""
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(changed[:_SHOWN]) + more


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _as_written_now(value: Any) -> Any:
    """Fields of a key as earlier releases wrote them, in the form that they have now."""
    if isinstance(value, list | tuple):
        return [_as_written_now(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    plain = {key: _as_written_now(one) for key, one in value.items() if key != "core"}
    if "settings" in plain and plain.keys() & {"dist", "attribute"}:
        settings = dict(plain["settings"])
        name = str(settings.pop("use", "")).rpartition(":")[2]
        use = f"{plain['dist']}:{name}" if "dist" in plain else plain["attribute"]
        return {"use": use, "settings": settings}
    return plain


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
