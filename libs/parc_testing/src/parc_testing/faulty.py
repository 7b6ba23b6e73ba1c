"""Work that is done again and again in child processes, each time with a fault at another change of the disk."""

from __future__ import annotations

import os
import pathlib
import sys
import traceback
from collections.abc import Callable

import attrs

from parc_motion.errors import ParcError
from parc_motion.storage import faults

__all__ = ["Ended", "count_operations", "in_child"]


@attrs.frozen
class Ended:
    """How a child process ended."""

    code: int
    text: str  # what it wrote to stdout and stderr
    operations: int  # changes of the disk; 0 if it crashed


def in_child(work: Callable[[], object], output: pathlib.Path, fault: str | None = None) -> Ended:
    """Do some work in a forked child process.

    Args:
        work: its exceptions become exit codes: those of a `ParcError` and of `SystemExit` their own, of others 1.
        output: file for what the child writes.
        fault: see `parc_motion.storage.faults`.
    """
    counted = output.with_suffix(".count")
    child = os.fork()
    if child == 0:
        os._exit(_work(work, output, counted, fault))
    _, status = os.waitpid(child, 0)
    operations = int(counted.read_text()) if counted.exists() else 0
    counted.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(status), output.read_text(errors="replace"), operations)


def count_operations(work: Callable[[], object], output: pathlib.Path) -> int:
    """How often some work changes the disk."""
    ended = in_child(work, output)
    assert ended.code == 0, ended.text
    return ended.operations


def _work(work: Callable[[], object], output: pathlib.Path, counted: pathlib.Path, fault: str | None) -> int:
    with output.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        sys.stdout = sys.stderr = stream
        faults.inject(fault)
        try:
            work()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except ParcError as err:
            print(err)
            code = err.exit_code
        except BaseException:
            traceback.print_exc()
            code = 1
        counted.write_text(str(faults.count()))
    return code
