"""Output whose reader may go away: a terminal that is closed, a pipe that nobody reads any more."""

from __future__ import annotations

import contextlib
import os
from typing import TextIO

import attrs

__all__ = ["Lasting", "give_up"]


def give_up(stream: TextIO) -> None:
    """Let what is written from now on go nowhere: the interpreter flushes again when it exits."""
    with contextlib.suppress(OSError, ValueError):  # without a file there is nothing to replace
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@attrs.define
class Lasting:
    """A text stream that goes on without its reader; a run does not end because nobody follows it any more."""

    stream: TextIO

    def write(self, text: str) -> int:
        """Write, as long as somebody reads."""
        try:
            return self.stream.write(text)
        except OSError:
            give_up(self.stream)
            return len(text)

    def flush(self) -> None:
        """Flush, as long as somebody reads."""
        try:
            self.stream.flush()
        except OSError:
            give_up(self.stream)

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self.stream.isatty()

    def fileno(self) -> int:
        """The stream's file descriptor."""
        return self.stream.fileno()

    @property
    def encoding(self) -> str:
        """The stream's encoding, by which Rich chooses its characters."""
        return self.stream.encoding
