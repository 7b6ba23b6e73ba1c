"""Which processes work in a run folder, on this machine or others."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

from parc_core.interfaces import RunFolder
from parc_motion.stopping import stop_point
from parc_motion.storage import Held, Lease, live_leases

__all__ = ["alone", "presence"]

_START = "start"
_WAIT_S = 60.0  # for another process that starts here, which takes moments


@contextlib.contextmanager
def presence(folder: pathlib.Path) -> Iterator[Callable[[], list[str]]]:
    """While the block lasts, others know that this process works here; gives a function that names the others."""
    locks = RunFolder(folder).locks
    name = f"process-{socket.gethostname()}-{os.getpid()}"
    with Lease(locks, name) as mine:

        def others() -> list[str]:
            found = live_leases(locks).values()
            own = (mine.owner.machine, mine.owner.pid)
            return sorted({str(owner) for owner in found if (owner.machine, owner.pid) != own})

        yield others


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """While the block lasts, no other process starts to work here; waits for one that does.

    Raises:
        Held: it takes longer than a minute.
        Stopped: this process was asked to stop.
    """
    until = time.monotonic() + _WAIT_S
    while True:
        lease = Lease(RunFolder(folder).locks, _START)
        try:
            lease.__enter__()
            break
        except Held:
            if time.monotonic() > until:
                raise
            stop_point()
            time.sleep(0.1)
    try:
        yield
    finally:
        lease.__exit__(None, None, None)
