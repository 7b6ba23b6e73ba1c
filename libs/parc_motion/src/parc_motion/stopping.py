"""Stopping long work on request: whoever runs it says when, and long loops look.

A run installs the question with `stopping_when`; the loops of PARC and of plugins call `stop_point` between two rounds:

>>> for clip in clips:
...     stop_point()
...     refine(clip)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["Stopped", "stop_point", "stopping_when"]


class Stopped(BaseException):
    """The user asked to stop (SIGINT, SIGTERM, SIGHUP); what was kept so far continues exactly."""

    exit_code = 130


_questions: list[Callable[[], bool]] = []  # of this process, for all its threads; the last one holds


def stop_point() -> None:
    """Raise `Stopped` if this process was asked to stop; costs nothing otherwise.

    For loops whose rounds take less than a second or two, and whose results so far may be lost: the work is done again
    from the last checkpoint. A data-parallel training calls `StageContext.should_stop` instead, which all processes
    answer alike.

    Raises:
        Stopped: it was.
    """
    if _questions and _questions[-1]():
        stopped = Stopped()
        stopped.exit_code = getattr(_questions[-1], "exit_code", Stopped.exit_code)
        raise stopped


@contextlib.contextmanager
def stopping_when(should_stop: Callable[[], bool]) -> Iterator[None]:
    """While the block lasts, `stop_point` raises as soon as `should_stop` is true."""
    _questions.append(should_stop)
    try:
        yield
    finally:
        _questions.remove(should_stop)
