"""How much a test does: little at every change, much at night.

The environment variable ``PARC_TEST_LEVEL`` is ``pr`` (the default) or ``nightly``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

__all__ = ["LEVELS", "at_level", "level", "rounds"]

LEVELS = ("pr", "nightly")


def level() -> str:
    """The level at which the tests run.

    Raises:
        ValueError: ``PARC_TEST_LEVEL`` names another one.
    """
    name = os.environ.get("PARC_TEST_LEVEL") or LEVELS[0]
    if name not in LEVELS:
        raise ValueError(f"PARC_TEST_LEVEL is '{name}', expected one of {', '.join(LEVELS)}")
    return name


def at_level(*, pr: int, nightly: int) -> int:
    """The number for the level at which the tests run."""
    return {"pr": pr, "nightly": nightly}[level()]


def rounds(*, pr: int, nightly: int, at_most_s: float = 600.0) -> Iterator[int]:
    """Counts from 0, `pr` times at every change; `nightly` times at night, or until the time is over.

    At every change the count is exact, so that a test means the same on a slow machine.
    """
    started, nightly_runs = time.monotonic(), level() == "nightly"
    for number in range(at_level(pr=pr, nightly=nightly)):
        if nightly_runs and number and time.monotonic() - started > at_most_s:
            return
        yield number
