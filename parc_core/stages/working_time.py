"""Working time of a job over all attempts, kept in its working folder for every process that works on it."""

from __future__ import annotations

import pathlib
import time

import attrs

from parc_motion import storage

__all__ = ["MARKER", "WorkingTime"]

MARKER = ".job.json"  # in a folder at work: the key that it works for, and the time spent so far
_KEPT_EVERY_S = 1.0


@attrs.define
class WorkingTime:
    """The working time of a job that an attempt has begun; see `begin`.

    Clocks of several processes on one machine agree: the marker holds the time up to an instant of the system's
    monotonic clock, and the rest has passed since.
    """

    _marker: pathlib.Path
    _before: float  # s
    _since: float  # s, of the monotonic clock
    _kept: float  # s

    @classmethod
    def of(cls, folder: pathlib.Path) -> WorkingTime:
        """The clock of the attempt that works in a folder."""
        known = storage.read_json(folder / MARKER)
        return cls(folder / MARKER, known["wall_s"], known["since"], known["wall_s"])

    @classmethod
    def begin(cls, folder: pathlib.Path) -> WorkingTime:
        """Begin an attempt: what passed since the last one does not count."""
        marker = folder / MARKER
        storage.write_json(marker, {**storage.read_json(marker), "since": time.monotonic()})
        return cls.of(folder)

    def seconds(self) -> float:
        """Time worked so far, s."""
        return self._before + time.monotonic() - self._since

    def keep(self) -> None:
        """Write it down."""
        now = time.monotonic()
        self._kept = self._before + now - self._since
        known = storage.read_json(self._marker)
        storage.write_json(self._marker, {**known, "wall_s": self._kept, "since": now})

    def keep_now_and_then(self) -> None:
        """Write it down at most once a second: what a killed process has worked since is not counted."""
        if self.seconds() - self._kept >= _KEPT_EVERY_S:
            self.keep()
