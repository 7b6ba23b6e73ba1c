"""Signals: the first asks the work to stop at its next safe point, the second ends the process.

A terminal that is lost (SIGHUP) is a signal like the others, unless ``nohup`` has it ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

from parc_motion.stopping import stopping_when

__all__ = ["StopFlag"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopFlag:
    """True once a signal arrived, which `stop_point` then answers everywhere; the old handlers come back at the end.

    A process gets 130, 143 or 129 as its exit code after `Stopped`; a second signal exits at once, also while the main
    thread computes: another thread waits for signals.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._count = 0
        self._stack = contextlib.ExitStack()

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number."""
        return 128 + (self.signal or signal.SIGINT)

    def request(self) -> None:
        """Ask the work to stop, as SIGTERM does; a word from another process does not count as a signal."""
        if self.signal is None:
            self.signal = signal.SIGTERM

    def __enter__(self) -> StopFlag:
        self._stack.enter_context(stopping_when(self))
        if threading.current_thread() is threading.main_thread():  # else whoever embeds us handles signals
            self._watch()
            for number in _SIGNALS:
                self._handle(number)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _handle(self, number: int) -> None:
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            return
        old: Any = signal.signal(number, self._arrived)
        self._stack.callback(signal.signal, number, old)

    def _arrived(self, number: int, _: FrameType | None = None) -> None:
        if self.signal is None:
            self.signal = number

    def _watch(self) -> None:
        """Let a thread count signals: the main one would handle them between two of its steps, and see only one."""
        numbers, arrival = os.pipe()
        os.set_blocking(arrival, False)
        old = signal.set_wakeup_fd(arrival, warn_on_full_buffer=False)
        watcher = threading.Thread(target=self._count_signals, args=(numbers,), daemon=True, name="signals")
        watcher.start()

        def end() -> None:
            signal.set_wakeup_fd(old)
            os.close(arrival)
            watcher.join()
            os.close(numbers)

        self._stack.callback(end)

    def _count_signals(self, numbers: int) -> None:
        while byte := os.read(numbers, 1):
            number = byte[0]
            if number not in _SIGNALS:  # somebody else's handler
                continue
            self._count += 1
            self._arrived(number)
            if self._count > 1:
                os._exit(128 + number)
