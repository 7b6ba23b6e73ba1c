"""One process per run folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pathlib
import socket
import sys
from collections.abc import Iterator
from types import TracebackType

from parc_motion.errors import RunLocked, StorageError
from parc_motion.storage.atomic import make_folder

__all__ = ["RunLock", "exclusive"]

log = logging.getLogger(__name__)


class RunLock:
    """Holds `run.lock` for as long as the `with` block lasts.

    The kernel's `flock` decides, so a killed holder frees the folder at once; the text inside only serves the message.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "run.lock"
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        make_folder(self.path.parent)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as err:
            raise StorageError(
                f"{self.path}: cannot open: {err.strerror}. Is the run folder writable?"
            ) from err
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace") or "unknown"
            os.close(descriptor)
            raise RunLocked(
                f"{self.path.parent}: another process works here: {holder}. Wait for it, or stop it."
            ) from err
        text = json.dumps(
            {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)[:2000]}
        )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)  # no fsync: the text is only a courtesy
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def exclusive(path: pathlib.Path) -> Iterator[None]:
    """Only one process at a time is inside the `with` block of a lock file; the others wait.

    The kernel releases the lock of a process that dies. The empty file remains.

    Raises:
        StorageError: the lock file cannot be opened.
    """
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as err:
        raise StorageError(f"{path}: cannot open: {err.strerror}. Is its folder writable?") from err
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.info("%s: waiting for another process", path)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
