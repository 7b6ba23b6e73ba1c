"""Working time of a job over all attempts, kept in its working folder for every process that works on it."""

from __future__ import annotations

import pathlib
import time

import attrs

from parc_core.stages.marker import read_marker, update_marker
from parc_motion.errors import DataError

__all__ = ["WorkingTime"]

_KEPT_EVERY_S = 1.0


@attrs.define
class WorkingTime:
    """The working time of a job that an attempt has begun; see `begin`.

    Clocks of several processes on one machine agree: the marker holds the time up to an instant of the system's
    monotonic clock, and the rest has passed since.
    """

    _folder: pathlib.Path
    _before: float  # s
    _since: float  # s, of the monotonic clock
    _kept: float  # s

    @classmethod
    def of(cls, folder: pathlib.Path) -> WorkingTime:
        """The clock of the attempt that works in a folder."""
        known = read_marker(folder)
        if known is None:
            raise DataError(f"{folder}: no work was begun here; another process may have moved it away.")
        return cls(folder, known["wall_s"], known["since"], known["wall_s"])

    @classmethod
    def begin(cls, folder: pathlib.Path) -> WorkingTime:
        """Begin an attempt: what passed since the last one does not count."""
        update_marker(folder, since=time.monotonic())
        return cls.of(folder)

    def seconds(self) -> float:
        """Time worked so far, s."""
        return self._before + time.monotonic() - self._since

    def keep(self) -> None:
        """Write it down."""
        now = time.monotonic()
        self._kept = self._before + now - self._since
        update_marker(self._folder, wall_s=self._kept, since=now)

    def keep_now_and_then(self) -> None:
        """Write it down at most once a second: what a killed process has worked since is not counted."""
        if self.seconds() - self._kept >= _KEPT_EVERY_S:
            self.keep()
