"""Exclusive use of a piece of work, among processes of one or several machines that see the same folder.

A lease is a file that its holder touches now and then. The kernel's locks are not used, because network file systems
keep them badly; creating a file that must not exist is atomic everywhere.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import logging
import os
import pathlib
import random
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import attrs

from parc_motion.errors import RunLocked, StorageError
from parc_motion.storage.atomic import make_folder
from parc_motion.storage.faults import operation

__all__ = [
    "HEARTBEAT_S",
    "STALE_AFTER_S",
    "Held",
    "Lease",
    "LeaseLost",
    "LeaseOwner",
    "live_leases",
    "sweep_leases",
]

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0  # between touches of a lease file
STALE_AFTER_S = 120.0  # age of the last touch from which the owner on another machine counts as dead
_LOOKS = 3  # before a newer generation counts as a takeover
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
_FILE = re.compile(r"(?P<name>.+)\.(?P<generation>\d+)\.lease")


@attrs.frozen(kw_only=True)
class LeaseOwner:
    """Who holds a lease; the fields of a file that cannot be read are empty."""

    host: str = ""
    machine: str = ""  # boot and process namespace: where `pid` means something
    pid: int = 0
    started: str = ""  # when the process started, because process ids are used again
    command: str = ""
    token: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.command})" if self.pid else "an unknown process"


class Held(RunLocked):
    """Another process holds the lease; `owner` says which."""

    def __init__(self, text: str, owner: LeaseOwner) -> None:
        super().__init__(text)
        self.owner = owner


class LeaseLost(RunLocked):
    """Another process took the lease over, because this one gave no sign of life for too long."""


class Lease:
    """Holds `<folder>/<name>.<generation>.lease` for as long as the `with` block lasts.

    The file of the highest generation counts. A lease whose owner is dead is taken over by creating the next
    generation, which only one process can do. On the owner's machine it is dead when its process is gone; elsewhere
    when it has not touched the file for `stale_after_s`, by the clock of the file system.

    Args:
        folder: where leases lie; made if it is missing.
        name: of the work, without slashes.
        stale_after_s: seconds; several times `HEARTBEAT_S`.

    Raises:
        Held: on entering, if a live process holds it.
        StorageError: on entering, if the folder cannot be written.
    """

    def __init__(self, folder: pathlib.Path, name: str, *, stale_after_s: float = STALE_AFTER_S) -> None:
        self.folder, self.name, self.stale_after_s = pathlib.Path(folder), name, stale_after_s
        self.owner = _this_process()
        self._path: pathlib.Path | None = None

    def __enter__(self) -> Lease:
        make_folder(self.folder)
        while not self._acquire():
            time.sleep(random.uniform(0.005, 0.05))  # two processes met; both stepped back
        _heart.hold(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        _heart.drop(self)
        path, self._path = self._path, None
        if path is not None and _read_owner(path).token == self.owner.token:
            path.unlink(missing_ok=True)

    def check(self) -> None:
        """Whether this process still holds it.

        Raises:
            LeaseLost: another one took it over.
        """
        for _ in range(_LOOKS):
            if self._path is None or _read_owner(self._path).token != self.owner.token:
                break
            if max(_generations(self.folder).get(self.name, [0])) == _generation(self._path):
                return
            time.sleep(0.1)  # a process that came second may just be stepping back
        raise LeaseLost(
            f"{self.name}: another process took this work over, because this one gave no sign of life for "
            f"{self.stale_after_s:.0f} s. What the other one makes counts; this one stops."
        )

    def touch(self) -> None:
        """A sign of life. A file that was removed stays so; `check` tells."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _acquire(self) -> bool:
        seen = {number: _read_file(self._file(number)) for number in self._generations()}
        for number, file in sorted(seen.items(), reverse=True):
            # also an older one: the newer may be of a process that steps back
            if file is not None and _is_alive(self._file(number), file.owner, self.stale_after_s):
                raise Held(f"{self.name}: {file.owner} works on it.", file.owner)
        if None in seen.values():
            return False  # it was just given back
        generation = max(seen, default=0) + 1
        mine = self._file(generation)
        try:
            _create(mine, json.dumps(attrs.asdict(self.owner)).encode())
        except FileExistsError:
            return False
        except OSError as err:
            raise StorageError(f"{mine}: cannot create: {err.strerror}. Is the run folder writable?") from err
        # numbers are used again: a file that has the number of a dead one may be that of a process that came in between
        others = [number for number in self._generations() if number != generation]
        if any(_read_file(self._file(number)) != seen.get(number) for number in others):
            mine.unlink(missing_ok=True)
            return False
        for number in others:
            log.info("%s: its owner is gone (%s); taken over.", self.name, _read_owner(self._file(number)))
            self._file(number).unlink(missing_ok=True)
        self._path = mine
        return True

    def _generations(self) -> list[int]:
        return _generations(self.folder).get(self.name, [])

    def _file(self, generation: int) -> pathlib.Path:
        return self.folder / f"{self.name}.{generation}.lease"


def live_leases(folder: pathlib.Path, *, stale_after_s: float = STALE_AFTER_S) -> dict[str, LeaseOwner]:
    """Name -> owner of the leases in a folder that a live process holds, those of this process included."""
    found = {}
    for name, generations in _generations(folder).items():
        path = folder / f"{name}.{generations[-1]}.lease"
        owner = _read_owner(path)
        if path.exists() and _is_alive(path, owner, stale_after_s):
            found[name] = owner
    return found


def sweep_leases(folder: pathlib.Path, *, stale_after_s: float = STALE_AFTER_S) -> int:
    """Remove the files of owners that are dead; returns how many. Call it only while nobody else works there."""
    dead = []
    for match in _matches(folder):
        path = folder / match.string
        if not _is_alive(path, _read_owner(path), stale_after_s):
            dead.append(path)
    for path in dead:
        path.unlink(missing_ok=True)
    return len(dead)


def _create(path: pathlib.Path, content: bytes) -> None:
    """Make a file that must not exist; it appears with its content, so that no dead process leaves an empty one."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}-{uuid.uuid4().hex}")
    try:
        operation(path)
        with temporary.open("xb") as stream:
            stream.write(content)
        operation(path)
        try:
            os.link(temporary, path)
        except OSError as err:
            if err.errno not in _NO_LINKS:
                raise
            with path.open("xb") as stream:  # the file system has no hard links
                stream.write(content)
    finally:
        temporary.unlink(missing_ok=True)


class _Heart:
    """Touches the leases of this process; those of a parent that has forked it are the parent's."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._leases: set[Lease] = set()
        self._lock = threading.Lock()
        # made late: after a fork, a thread that was made before cannot be started
        self._thread: threading.Thread | None = None

    def hold(self, lease: Lease) -> None:
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="lease heartbeat", daemon=True)
                self._thread.start()

    def drop(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_S)
            with self._lock:
                leases = list(self._leases)
            for lease in leases:
                lease.touch()


_heart = _Heart()


def _this_process() -> LeaseOwner:
    return LeaseOwner(
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_started(os.getpid()),
        command=" ".join(sys.argv)[:500],
        token=uuid.uuid4().hex,
    )


@functools.cache
def _machine() -> str:
    """What tells this machine, boot and process namespace from others; containers may share a host's name."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _started(pid: int) -> str:
    """When a process started, in ticks since boot; empty where that is not known or the process has ended."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if state in "ZX" else fields[18]


def _is_alive(path: pathlib.Path, owner: LeaseOwner, stale_after_s: float) -> bool:
    if owner.machine == _machine():
        if owner.started:
            return _started(owner.pid) == owner.started
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        touched = path.stat().st_mtime
    except FileNotFoundError:
        return False
    return _clock_of(path.parent) - touched < stale_after_s


def _clock_of(folder: pathlib.Path) -> float:
    """The time by the clock that stamps files in a folder; a file server's may differ from this machine's."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)


@attrs.frozen
class _File:
    """A lease file as it was seen, which tells it from an earlier or later one of the same name."""

    owner: LeaseOwner
    inode: int
    changed_ns: int


def _read_file(path: pathlib.Path) -> _File | None:
    """The file; None if there is none."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    return _File(_read_owner(path), facts.st_ino, facts.st_ctime_ns)


def _read_owner(path: pathlib.Path) -> LeaseOwner:
    try:
        plain: dict[str, Any] = json.loads(path.read_text())
        return LeaseOwner(**plain)
    except (OSError, ValueError, TypeError):  # gone, or its owner is just writing it
        return LeaseOwner()


def _generations(folder: pathlib.Path) -> dict[str, list[int]]:
    """Name -> generations of the lease files in a folder, ascending."""
    found: dict[str, list[int]] = {}
    for match in _matches(folder):
        found.setdefault(match["name"], []).append(int(match["generation"]))
    return {name: sorted(numbers) for name, numbers in found.items()}


def _matches(folder: pathlib.Path) -> Iterator[re.Match[str]]:
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            match = _FILE.fullmatch(name)
            if match:
                yield match


def _generation(path: pathlib.Path) -> int:
    return int(path.name.split(".")[-2])
