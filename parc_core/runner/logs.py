"""Log files of a run folder: everything that PARC and its plugins log, for afterwards."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import sys
from collections.abc import Iterator

from parc_motion import storage
from parc_motion.errors import StorageError

__all__ = ["of_job", "run_log"]

log = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@contextlib.contextmanager
def run_log(path: pathlib.Path) -> Iterator[None]:
    """While the block lasts, log records of PARC and its plugins (DEBUG) and warnings of others go to a file, too.

    Blocks may be nested: each file has all records of its block.
    """
    handler = _LineHandler(path)
    ours = logging.getLogger("parc_core")
    root = logging.getLogger()
    levels = ours.level, root.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    root.setLevel(min(levels[1], logging.INFO))
    try:
        yield
    except Exception as err:
        if not {id(err), id(err.__cause__)} & handler.logged:
            log.debug("ended by an error", exc_info=err)
        raise
    finally:
        root.removeHandler(handler)
        ours.setLevel(levels[0])
        root.setLevel(levels[1])


def of_job(name: str, text: str) -> str:
    """The text of a log record of another process, with the name of the job that it works on."""
    return text if text.startswith(f"{name}: ") else f"{name}: {text}"


class _LineHandler(logging.Handler):
    """Appends records durably; a full disk does not end the work that only wanted to say something.

    That the log is incomplete is said once, on stderr.
    """

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(logging.DEBUG)
        self.path, self._told = path, False
        self.logged = set[int]()  # ids of the exceptions whose traceback it has
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record."""
        if record.exc_info:
            self.logged.add(id(record.exc_info[1]))
        if not record.name.startswith("parc") and record.levelno < logging.WARNING:
            return
        try:
            storage.append_line(self.path, self._text(record))
        except StorageError as err:
            if not self._told:
                self._told = True
                print(f"{err} The log lacks lines.", file=sys.stderr)

    def _text(self, record: logging.LogRecord) -> str:
        try:
            text = self.format(record)
        except Exception as err:  # a plugin's log call with wrong arguments
            text = f"{record.levelname} {record.name}: {record.msg!r} with {record.args!r}: {err}"
        return text.encode(errors="backslashreplace").decode()
