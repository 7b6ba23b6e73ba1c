"""A job: one unit of work with a folder that appears under its name only when it is complete.

While the work goes on it lies in `<name>.partial`; `DONE.json` then lists every output with its SHA-256, and the folder
gets its name by a rename. A finished job stays finished: where its settings or inputs differ from those that now hold,
the log says in what. A job that was complete but not yet renamed gets its name; one that was cut off continues from its
partial folder with the settings that it was begun with (`parc_core.stages.begun`), or with new ones that only make it
longer; half of a job whose inputs have changed is set aside, never overwritten. Checkpoints and parts serve the work
itself: they are not outputs, and neither listed nor looked at afterwards.

Whoever works on a job holds its lock, so that any number of processes can work on the jobs of a run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from parc_core.stages.working_time import MARKER, WorkingTime
from parc_motion import storage
from parc_motion.errors import DataError

__all__ = [
    "PARTS",
    "RECORD",
    "Begun",
    "Job",
    "JobRecord",
    "carry_out",
    "differences",
    "lasting_folder",
    "prepared_or_record",
    "read_record",
    "set_aside",
]

log = logging.getLogger(__name__)

T = TypeVar("T")

RECORD = "DONE.json"  # of a finished job, in its folder
_SETTINGS = ".settings.yaml"  # in a folder at work: the settings of the iteration when it was begun
PARTS = ".parts"  # jobs that a job is split into, while it is at work
_CHECKPOINTS = "checkpoints/"
_PARTIAL = ".partial"
_FORMAT = 1
_SHOWN = 5  # differences that a message names


@attrs.frozen(kw_only=True)
class JobRecord:
    """What a finished job left in `DONE.json`."""

    stage: str
    key: str
    key_fields: dict[str, Any]
    summary: dict[str, Any]
    wall_s: float
    files: dict[str, dict[str, Any]]
    versions: dict[str, str] = attrs.field(factory=dict)  # of the code that made it

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents of what later stages read: clips, and weights that are not checkpoints."""
        lasting = {
            name: file["sha256"]
            for name, file in self.files.items()
            if name.endswith((".npz", ".safetensors")) and not name.startswith(_CHECKPOINTS)
        }
        return storage.digest_json(lasting)


@attrs.define(kw_only=True)
class Job:
    """One unit of work; `key_fields` is everything that its result depends on."""

    stage: str
    folder: pathlib.Path  # the final name
    key_fields: dict[str, Any]
    superseded: pathlib.Path  # where what is replaced is kept
    locks: pathlib.Path  # where locks of jobs lie
    versions: dict[str, str] = attrs.field(factory=dict)  # of the code; recorded, and without effect
    extending: frozenset[str] = (
        frozenset()
    )  # fields, by dotted name, that only make the work longer when they grow
    settings: Callable[[], str] | None = None  # the settings of the iteration, as text
    _lease: storage.Lease | None = attrs.field(default=None, init=False, repr=False)

    @contextlib.contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """Nobody else works on this job while the block lasts.

        Args:
            wait_s: how long to wait for another process that holds it.

        Raises:
            Held: another process holds it.
        """
        until = time.monotonic() + wait_s
        while True:
            lease = storage.Lease(self.locks, f"{self.folder.parent.name}-{self.folder.name}")
            try:
                lease.__enter__()
                break
            except storage.Held:
                if time.monotonic() >= until:
                    raise
                time.sleep(0.2)
        self._lease = lease
        try:
            yield
        finally:
            self._lease = None
            lease.__exit__(None, None, None)

    @property
    def key(self) -> str:
        """SHA-256 of everything that the result depends on."""
        return storage.digest_json({"stage": self.stage, **self.key_fields})

    @property
    def partial(self) -> pathlib.Path:
        """Where the work goes on until it is complete."""
        return self.folder.with_name(f"{self.folder.name}{_PARTIAL}")

    @property
    def lasting(self) -> pathlib.Path:
        """Where its files lie when everything is finished, for messages; see `lasting_folder`."""
        return lasting_folder(self.folder)

    def finished(self) -> JobRecord | None:
        """The record, if the job was completed and its files are still there in their sizes.

        Settings and inputs may have changed since then: the log says in what, and the result stays.
        """
        self._commit_complete()
        record = read_record(self.folder)
        if record is None:
            return None
        for left in (MARKER, _SETTINGS, PARTS):  # of an attempt that ended right after the rename
            storage.remove(self.folder / left)
        for name, file in record.files.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != file["size"]:
                log.warning("%s: missing or of another size than recorded; %s runs again.", path, self.stage)
                return None
        changed = differences(record.key_fields, self.key_fields)
        if changed:
            log.info(
                "%s is finished and stays, made with other settings: %s.", self.lasting, _listed(changed)
            )
        return record

    def begin(self) -> pathlib.Path:
        """The partial folder to work in: a new one, or that of an earlier attempt with the same key."""
        if self.folder.exists():
            self.set_aside(self.folder)
        marker = self.partial / MARKER
        if self.partial.exists():
            storage.sweep(self.partial, skip=PARTS)
            known = storage.read_json(marker) if marker.is_file() else {}
            more = self.made_longer(known.get("key_fields", {}))
            if known.get("key") == self.key or more:
                storage.remove(self.partial / RECORD)  # damaged, or `finished` would have renamed the folder
            if more:
                log.info("%s continues with %s.", self.lasting, _listed(more))
                self._keep_settings()
                storage.write_json(marker, {**known, "key": self.key, "key_fields": self.key_fields})
            elif known.get("key") != self.key and any(path.is_file() for path in self.partial.rglob("*")):
                changed = differences(known.get("key_fields", {}), self.key_fields)
                log.info("%s was begun with other inputs or settings: %s.", self.lasting, _listed(changed))
                self.set_aside(self.partial)
        if not marker.is_file():
            self._mark()
        return self.partial

    def _mark(self, wall_s: float = 0.0) -> None:
        """Say in the partial folder what is made there, and how long that took so far."""
        storage.make_folder(self.partial)
        self._keep_settings()
        fields = {"stage": self.stage, "key": self.key, "key_fields": self.key_fields, "wall_s": wall_s}
        storage.write_json(self.partial / MARKER, fields)

    def _keep_settings(self) -> None:
        if self.settings is not None:
            storage.write_text(self.partial / _SETTINGS, self.settings())

    def begin_from(self, earlier: pathlib.Path) -> None:
        """Begin with the last state and the time of an earlier result of this job, which stays where it is."""
        storage.remove(self.partial)
        record = read_record(earlier)
        for file in sorted(earlier.rglob("*")):
            name = file.relative_to(earlier).as_posix()
            if file.is_file() and (name.startswith(_CHECKPOINTS) or file.suffix == ".jsonl"):
                storage.copy_file(file, self.partial / name)
        self._mark(0.0 if record is None else record.wall_s)
        log.info("%s continues from %s.", self.lasting, earlier)

    def is_longer_than_begun(self) -> bool:
        """Whether the work was begun, and all that differs now is that it is to be longer."""
        marker = self.partial / MARKER
        return marker.is_file() and bool(self.made_longer(storage.read_json(marker).get("key_fields", {})))

    def made_longer(self, before: Mapping[str, Any]) -> list[str]:
        """In what the work is longer than that of an earlier key; empty if anything else differs, or nothing does.

        Args:
            before: fields of the earlier key.
        """
        old, new = dict(_leaves(_as_written_now(before))), dict(_leaves(_as_written_now(self.key_fields)))
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        longer = [
            name for name in changed if name in self.extending and _is_more(new.get(name), old.get(name))
        ]
        return differences(before, self.key_fields) if longer == changed else []

    @contextlib.contextmanager
    def attempt(self) -> Iterator[pathlib.Path]:
        """`begin`, and count the working time of the block, also when it fails, so that `commit` knows the sum."""
        folder = self.begin()
        clock = WorkingTime.begin(folder)
        try:
            yield folder
        finally:
            clock.keep()

    def add_time(self, seconds: float) -> None:
        """Working time that `commit` is to count."""
        marker = self.partial / MARKER
        known = storage.read_json(marker)
        storage.write_json(marker, {**known, "wall_s": known["wall_s"] + seconds})

    def commit(self, summary: dict[str, Any], known: Mapping[str, str] = MappingProxyType({})) -> JobRecord:
        """Give the finished folder its name.

        Args:
            summary: what the stage reports, JSON values.
            known: SHA-256 of files that were just written, by name in the folder; they are not read again.

        Raises:
            LeaseLost: another process took the job over.
        """
        if self._lease is not None:
            self._lease.check()
        marker = self.partial / MARKER
        wall_s = storage.read_json(marker)["wall_s"]
        record = JobRecord(
            stage=self.stage,
            key=self.key,
            key_fields=self.key_fields,
            summary=summary,
            wall_s=round(wall_s, 3),
            files=_outputs(self.partial, known),
            versions=self.versions,
        )
        storage.write_json(self.partial / RECORD, {"format": _FORMAT, **attrs.asdict(record)})
        storage.commit_folder(self.partial, self.folder)
        for left in (MARKER, _SETTINGS, PARTS):
            storage.remove(self.folder / left)
        return record

    def _commit_complete(self) -> None:
        """Rename a partial folder whose work was complete when its process ended."""
        try:
            record = read_record(self.partial)
        except DataError as err:
            log.warning("%s The work goes on.", err)
            return
        if record is None:
            return
        if _outputs(self.partial) != record.files:
            log.warning(
                "%s: its files differ from those recorded in %s; the work goes on.", self.lasting, RECORD
            )
            return
        if self.folder.exists():
            self.set_aside(self.folder)
        log.info("%s was complete when its process ended; it gets its name now.", self.lasting)
        storage.commit_folder(self.partial, self.folder)

    def set_aside(self, folder: pathlib.Path) -> None:
        """Move a folder into `superseded`; see `set_aside`."""
        set_aside(folder, self.superseded)


def lasting_folder(folder: pathlib.Path) -> pathlib.Path:
    """Where what lies in a job's working folder will lie in the end.

    >>> lasting_folder(pathlib.Path("iter_001/p4_phys_record.partial/.parts/chunk_00000.partial"))
    PosixPath('iter_001/p4_phys_record/chunk_00000')
    """
    parent = folder.parent
    if parent.name == PARTS:
        parent = lasting_folder(parent.parent)
    return parent / folder.name.removesuffix(_PARTIAL)


def carry_out(job: Job, work: Callable[[], JobRecord]) -> JobRecord:
    """The record of a finished job, or what `work` makes of it while this process holds it.

    Raises:
        Held: another process works on it.
    """
    record = None if job.partial.exists() else job.finished()
    if record is not None:
        return record
    with job.held():
        return job.finished() or work()


@attrs.frozen
class Begun:
    """A folder at work, as whoever began it left it."""

    partial: pathlib.Path

    @property
    def key(self) -> str | None:
        """The key that it was begun for; None if nothing was begun."""
        marker = self.partial / MARKER
        return storage.read_json(marker)["key"] if marker.is_file() else None

    def differences(self, job: Job) -> list[str]:
        """In what the job differs from the one that was begun."""
        marker = self.partial / MARKER
        return (
            differences(storage.read_json(marker)["key_fields"], job.key_fields) if marker.is_file() else []
        )

    @property
    def settings(self) -> pathlib.Path | None:
        """File with the settings of the iteration by then; None if an earlier release began it."""
        path = self.partial / _SETTINGS
        return path if path.is_file() else None


def set_aside(folder: pathlib.Path, superseded: pathlib.Path) -> pathlib.Path:
    """Move a folder that is replaced into `superseded`, under a name that tells where it was; returns the new place.

    Raises:
        DataError: 10,000 results of this name are there already.
    """
    for number in range(10_000):
        target = superseded / f"{folder.parent.name}-{folder.name}-{number:03d}"
        if not target.exists():
            log.info("%s is replaced; it is kept as %s.", lasting_folder(folder), target)
            storage.commit_folder(folder, target)
            return target
    raise DataError(
        f"{superseded}: holds 10,000 earlier results of {folder.name}. Remove what is not needed."
    )


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the fields of two keys: dotted names with both values, e.g. ``inputs.keep 1 -> 2``.

    Versions of code, which earlier releases had among the fields, do not count.
    """
    old, new = dict(_leaves(_as_written_now(before))), dict(_leaves(_as_written_now(now)))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [f"{name} {_short(old.get(name))} -> {_short(new.get(name))}" for name in names]


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


def _is_more(new: Any, old: Any) -> bool:
    return isinstance(new, int | float) and isinstance(old, int | float) and new > old


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _listed(changed: list[str]) -> str:
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    return ", ".join(changed[:_SHOWN]) + more


def _outputs(
    folder: pathlib.Path, known: Mapping[str, str] = MappingProxyType({})
) -> dict[str, dict[str, Any]]:
    """Digest and size of every output by name: all files but the record, checkpoints, parts and temporary files."""
    files = storage.digest_folder(folder, skip=(_CHECKPOINTS, f"{PARTS}/"), known=known)
    files.pop(RECORD, None)
    return files


def prepared_or_record(prepare: Callable[[], T], folder: pathlib.Path) -> T | JobRecord:
    """What `prepare` finds of a job, or the record in `folder` if it is finished and its inputs are gone by now.

    Raises:
        DataError: an input is missing and the job is not finished.
    """
    try:
        return prepare()
    except DataError as err:
        record = read_record(folder)
        if record is None:
            raise
        log.info("%s is finished and stays. It could not be made again now: %s", folder, err)
        return record


def read_record(folder: pathlib.Path) -> JobRecord | None:
    """The record of a finished job's folder, or None if there is none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    document = storage.read_json(path)
    if document.pop("format", None) != _FORMAT:
        raise DataError(f"{path}: not a record of format {_FORMAT}. Was it written by a newer version?")
    return JobRecord(**document)
