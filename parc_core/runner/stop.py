"""Signals: the first asks the work to stop at its next safe point, the second ends the process."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

__all__ = ["StopFlag"]


class StopFlag:
    """True once SIGINT or SIGTERM arrived; a context manager that puts the old handlers back.

    A process gets 130 or 143 as its exit code after `Stopped`; a second signal exits at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._old: dict[int, Any] = {}

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number."""
        return 128 + (self.signal or signal.SIGINT)

    def __enter__(self) -> StopFlag:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._handle)
        except ValueError:  # not the main thread: whoever embeds us handles signals
            self._old = {}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
