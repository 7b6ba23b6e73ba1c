"""SHA-256 of the files of motion sources, kept from one start of a run to the next.

A source may hold a hundred thousand files, and each start asks whether they are still those that were imported.
"""

from __future__ import annotations

import pathlib
from functools import cached_property

from parc_motion import storage
from parc_motion.errors import DataError

__all__ = ["SourceDigests"]

_FORMAT = 1


class SourceDigests:
    """Digests by path; a file is read again only if its inode, size or time of change differs.

    They answer whether a source has changed. What work reads is compared with records, never with these.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._new = False

    def digest(self, file: pathlib.Path) -> str:
        """SHA-256 of a file's content.

        Raises:
            DataError: the file cannot be read.
        """
        name, state = str(file.absolute()), _state(file)
        known = self._known.get(name)
        if known is not None and known[:-1] == state:
            return str(known[-1])
        digest = storage.digest_unchanged(file)
        if _state(file) == state:
            self._known[name], self._new = [*state, digest], True
        return digest

    def save(self) -> None:
        """Write the digests that are new."""
        if self._new:
            storage.write_sealed(self.path, {"format": _FORMAT, "files": self._known})
            self._new = False

    @cached_property
    def _known(self) -> dict[str, list[int | str]]:
        try:
            document = storage.read_sealed(self.path) if self.path.is_file() else {}
        except DataError:
            return {}  # damaged: it is made again
        return document["files"] if document.get("format") == _FORMAT else {}


def _state(file: pathlib.Path) -> list[int | str]:
    try:
        state = file.stat()
    except OSError as err:
        raise DataError(f"{file}: cannot read: {err.strerror}.") from err
    return [state.st_ino, state.st_size, state.st_mtime_ns]
