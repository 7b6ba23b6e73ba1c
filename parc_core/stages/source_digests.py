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
        self._asked: dict[str, list[int | str]] = {}

    def digest(self, file: pathlib.Path) -> str:
        """SHA-256 of a file's content.

        Raises:
            DataError: the file cannot be read.
        """
        name, state = (
            str(file.absolute()),
            [*storage.file_state(file)[1:]],
        )  # a device has another number at times
        known = self._known.get(name, [])
        digest = known[-1] if known[:-1] == state else storage.digest_unchanged(file)
        self._asked[name] = [*state, digest]
        return str(digest)

    def save(self) -> None:
        """Write the digests that were asked for, if they are not those that are there."""
        if self._asked != self._known:
            storage.write_sealed(self.path, {"format": _FORMAT, "files": self._asked})
            self._known = dict(self._asked)

    @cached_property
    def _known(self) -> dict[str, list[int | str]]:
        try:
            document = storage.read_sealed(self.path) if self.path.is_file() else {}
        except DataError:
            return {}  # damaged: it is made again
        return document["files"] if document.get("format") == _FORMAT else {}
