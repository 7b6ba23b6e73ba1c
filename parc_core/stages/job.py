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
import gc
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs

from parc_core.stages.marker import MARKER, read_marker, update_marker, write_marker
from parc_core.stages.places import PARTIAL, PARTS, lasting_folder
from parc_core.stages.record import (
    CHECKPOINTS,
    RECORD,
    JobRecord,
    differences,
    leaves,
    listed,
    read_record,
    write_record,
)
from parc_core.stages.superseded import set_aside, take_back_begun, take_back_finished
from parc_core.stages.working_time import WorkingTime
from parc_motion import storage
from parc_motion.errors import DataError
from parc_motion.stopping import stop_point

__all__ = ["Begun", "Job", "carry_out", "prepared_or_record"]

log = logging.getLogger(__name__)

T = TypeVar("T")

# After a job that took longer, its garbage is collected at once, which takes 0.1 s: agents and environments refer to
# each other, and hold files of the cache open, whose room on the disk would stay taken.
_LONG_S = 1.0
_EARLY_SETTINGS = ".settings.yaml"  # in a folder at work: where version 0.1 kept what the marker holds now


@attrs.define(kw_only=True)
class Job:
    """One unit of work; `key_fields` is everything that its result depends on."""

    stage: str
    folder: pathlib.Path  # the final name
    key_fields: dict[str, Any]
    superseded: pathlib.Path  # folder of the run where what is replaced is kept
    locks: pathlib.Path  # where locks of jobs lie
    versions: dict[str, str] = attrs.field(factory=dict)  # of the code; recorded, and without effect
    extending: frozenset[str] = (
        frozenset()
    )  # fields, by dotted name, that only make the work longer when they grow
    settings: Callable[[], str] | None = None  # the settings of the iteration, as text
    machine: Callable[[], Mapping[str, Any]] = dict  # that does the work; recorded, and without effect
    scratch: frozenset[str] = frozenset()  # folders of the folder at work that are no outputs
    _lease: storage.Lease | None = attrs.field(default=None, init=False, repr=False)

    @contextlib.contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """Nobody else works on this job while the block lasts.

        Args:
            wait_s: how long to wait for another process that holds it.

        Raises:
            Held: another process holds it.
            Stopped: the run is asked to stop.
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
                stop_point()
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
        return self.folder.with_name(f"{self.folder.name}{PARTIAL}")

    @property
    def lasting(self) -> pathlib.Path:
        """Where its files lie when everything is finished, for messages; see `lasting_folder`."""
        return lasting_folder(self.folder)

    def finished(self) -> JobRecord | None:
        """The record, if the job was completed.

        Settings and inputs may have changed since then: the log says in what, and the result stays. Outputs are
        compared with the record by whoever reads them (`JobRecord.checked`).

        Raises:
            CorruptArtifact: the record is damaged.
        """
        self._commit_complete()
        record = read_record(self.folder)
        if record is None:
            return None
        self._tidy()  # after an attempt that ended right after the rename
        changed = differences(record.key_fields, self.key_fields)
        if changed:
            log.info("%s is finished and stays, made with other settings: %s.", self.lasting, listed(changed))
        return record

    def taken_back(self) -> JobRecord | None:
        """The record of an earlier result of just these settings and inputs that was set aside: it has its name again.

        None where there is none, or where the work is begun.
        """
        if self.partial.exists():
            return None
        return take_back_finished(self.folder, self.superseded, self.key)

    def begin(self) -> pathlib.Path:
        """The partial folder to work in: a new one, or that of an earlier attempt with the same key."""
        if self.folder.exists():
            self.set_aside(self.folder)
        if not self.partial.exists():
            take_back_begun(self.partial, self.superseded, self.key)
        if self.partial.exists():
            storage.sweep(self.partial, skip=PARTS)
            known = read_marker(self.partial) or {}
            more = self.made_longer(known.get("key_fields", {}))
            if known.get("key") == self.key or more:
                storage.remove(self.partial / RECORD)  # damaged, or `finished` would have renamed the folder
            if more:
                log.info("%s continues with %s.", self.lasting, listed(more))
                write_marker(self.partial, {**known, **self._asked()})
            elif known.get("key") != self.key and any(path.is_file() for path in self.partial.rglob("*")):
                changed = differences(known.get("key_fields", {}), self.key_fields)
                log.info("%s was begun with other inputs or settings: %s.", self.lasting, listed(changed))
                self.set_aside(self.partial)
        if read_marker(self.partial) is None:
            self._mark()
        return self.partial

    def _mark(self, wall_s: float = 0.0) -> None:
        """Say in the partial folder what is made there, and how long that took so far."""
        write_marker(self.partial, {**self._asked(), "wall_s": wall_s})

    def _asked(self) -> dict[str, Any]:
        """What the marker says of the work that is to be done."""
        fields = {"stage": self.stage, "key": self.key, "key_fields": self.key_fields}
        return fields if self.settings is None else {**fields, "settings": self.settings()}

    def begin_from(self, earlier: pathlib.Path) -> None:
        """Begin with the last state and the time of an earlier result of this job, which stays where it is."""
        storage.remove(self.partial)
        record = read_record(earlier)
        for file in sorted(earlier.rglob("*")):
            name = file.relative_to(earlier).as_posix()
            if file.is_file() and (name.startswith(CHECKPOINTS) or file.suffix == ".jsonl"):
                storage.copy_file(file, self.partial / name)
        self._mark(0.0 if record is None else record.wall_s)
        log.info("%s continues from %s.", self.lasting, earlier)

    def is_longer_than_begun(self) -> bool:
        """Whether the work was begun, and all that differs now is that it is to be longer."""
        known = read_marker(self.partial)
        return known is not None and bool(self.made_longer(known["key_fields"]))

    def made_longer(self, before: Mapping[str, Any]) -> list[str]:
        """In what the work is longer than that of an earlier key; empty if anything else differs, or nothing does.

        Args:
            before: fields of the earlier key.
        """
        old, new = leaves(before), leaves(self.key_fields)
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
        update_marker(self.partial, wall_s=self._marker()["wall_s"] + seconds)

    def _marker(self) -> dict[str, Any]:
        known = read_marker(self.partial)
        if known is None:
            raise DataError(f"{self.partial / MARKER}: missing; another process has moved the folder away.")
        return known

    def commit(
        self,
        summary: dict[str, Any],
        known: Mapping[str, str] = MappingProxyType({}),
        outside: Iterable[pathlib.Path] = (),
    ) -> JobRecord:
        """Give the finished folder its name.

        Args:
            summary: what the stage reports, JSON values.
            known: SHA-256 of files that were just written, by name in the folder; they are not read again.
            outside: further outputs, which lie where they stay.

        Raises:
            LeaseLost: another process took the job over.
        """
        if self._lease is not None:
            self._lease.check()
        record = JobRecord(
            stage=self.stage,
            job=_name_from(self.superseded.parent, self.lasting),
            key=self.key,
            key_fields=self.key_fields,
            summary=summary,
            wall_s=round(self._marker()["wall_s"], 3),
            files=self._outputs(known) | {_name_from(self.folder, file): _facts(file) for file in outside},
            versions=self.versions,
            machine=dict(self.machine()),
        )
        write_record(self.partial, record)
        storage.commit_folder(self.partial, self.folder)
        self._tidy()
        return record

    def _tidy(self) -> None:
        """Remove from the finished folder what served the work."""
        for left in (*self.scratch, MARKER, _EARLY_SETTINGS, PARTS):
            storage.remove(self.folder / left)

    def _outputs(self, known: Mapping[str, str] = MappingProxyType({})) -> dict[str, dict[str, Any]]:
        """Digest and size of every output in the folder at work, by name: what is neither record nor scratch."""
        skip = (CHECKPOINTS, f"{PARTS}/", *(f"{name}/" for name in self.scratch))
        files = storage.digest_folder(self.partial, skip=skip, known=known)
        files.pop(RECORD, None)
        return files

    def _commit_complete(self) -> None:
        """Rename a partial folder whose work was complete when its process ended."""
        try:
            record = read_record(self.partial)
        except DataError as err:
            log.warning("%s The work goes on.", err)
            return
        if record is None:
            return
        inside = {name: file for name, file in record.files.items() if not name.startswith("../")}
        if self._outputs() != inside:
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


def carry_out(job: Job, work: Callable[[], JobRecord]) -> JobRecord:
    """The record of a finished job, or what `work` makes of it while this process holds it.

    Raises:
        Held: another process works on it.
    """
    record = None if job.partial.exists() else job.finished()
    if record is not None:
        return record
    with job.held():
        started = time.monotonic()
        record = job.finished() or job.taken_back() or work()
        if time.monotonic() - started > _LONG_S:
            gc.collect()
        return record


@attrs.frozen
class Begun:
    """A folder at work, as whoever began it left it."""

    partial: pathlib.Path

    @property
    def key(self) -> str | None:
        """The key that it was begun for; None if nothing was begun."""
        known = read_marker(self.partial)
        return None if known is None else known["key"]

    def differences(self, job: Job) -> list[str]:
        """In what the job differs from the one that was begun."""
        known = read_marker(self.partial)
        return [] if known is None else differences(known["key_fields"], job.key_fields)

    @property
    def settings(self) -> str | None:
        """The settings of the iteration by then, as text; None if an early release began it."""
        known, early = read_marker(self.partial), self.partial / _EARLY_SETTINGS
        if known is not None and "settings" in known:
            return known["settings"]
        return early.read_text() if early.is_file() else None


def _is_more(new: Any, old: Any) -> bool:
    return isinstance(new, int | float) and isinstance(old, int | float) and new > old


def _name_from(folder: pathlib.Path, file: pathlib.Path) -> str:
    return pathlib.PurePath(os.path.relpath(file, folder)).as_posix()


def _facts(file: pathlib.Path) -> dict[str, Any]:
    return {"sha256": storage.digest_file(file), "size": file.stat().st_size}


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
