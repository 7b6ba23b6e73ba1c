"""Limits of time that hold on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_cpu_seconds(action: Callable[[], object], repetitions: int = 5) -> float:
    """The least processor seconds that a call takes in this thread.

    One measurement says too much: a garbage collection of everything that other tests left in the process, or the
    first use of a cold cache, may fall into it; other threads of the process are not counted at all.
    """
    spent = []
    for _ in range(repetitions):
        started = time.thread_time()
        action()
        spent.append(time.thread_time() - started)
    return min(spent)
