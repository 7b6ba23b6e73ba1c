"""Faults on purpose, for tests: the N-th change of the disk by this process fails, or is its last.

The environment variable ``PARC_FAULT`` says which: ``crash@N`` ends the process before the change, as a power cut or
`kill -9` would; ``enospc@N`` and ``eio@N`` let it fail with "no space left" or "input/output error". Changes are
counted from 1 in each process.

Source: SQLite tests its storage with a fault at the 1st, 2nd, 3rd, ... operation until the work completes.
"""

from __future__ import annotations

import errno
import os
import pathlib
import re

import attrs

from parc_motion.errors import StorageError

__all__ = ["ENVIRONMENT", "KINDS", "count", "inject", "operation"]

ENVIRONMENT = "PARC_FAULT"
KINDS = {"crash": 0, "enospc": errno.ENOSPC, "eio": errno.EIO}  # name -> errno
_CRASHED = 137  # exit code of a process that SIGKILL ended


@attrs.frozen
class _Fault:
    kind: str
    at: int


def inject(text: str | None) -> None:
    """From now on, have the fault that a text names; None for none. Counting begins again.

    Raises:
        StorageError: the text names none.
    """
    global _fault, _count
    _fault, _count = None if text is None else _parsed(text), 0


def count() -> int:
    """Changes of the disk since counting began."""
    return _count


def operation(path: pathlib.Path, written: pathlib.Path | None = None) -> None:
    """Called before every change of the disk.

    Args:
        path: what changes, for the error.
        written: a file that is written and not yet durable: a crash leaves half of it.

    Raises:
        OSError: the fault that is due.
    """
    global _count
    _count += 1
    if _fault is None or _count != _fault.at:
        return
    if _fault.kind == "crash":
        if (
            written is not None and written.stat().st_nlink == 1
        ):  # nothing is written to a second name of a file
            os.truncate(written, written.stat().st_size // 2)
        os._exit(_CRASHED)
    code = KINDS[_fault.kind]
    raise OSError(code, os.strerror(code), str(path))


def _parsed(text: str) -> _Fault:
    found = re.fullmatch(rf"({'|'.join(KINDS)})@([1-9]\d{{0,8}})", text)
    if found is None:
        raise StorageError(
            f"{ENVIRONMENT} is '{text:.40}', expected one of {', '.join(f'{kind}@N' for kind in KINDS)} with N from 1. "
            "It makes the N-th change of the disk fail, for tests; unset it."
        )
    return _Fault(found[1], int(found[2]))


_fault: _Fault | None = None
_count = 0
if os.environ.get(ENVIRONMENT):
    inject(os.environ[ENVIRONMENT])
