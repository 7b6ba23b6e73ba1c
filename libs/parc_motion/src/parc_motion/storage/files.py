"""Files that others made, opened without waiting and read up to a limit."""

from __future__ import annotations

import io
import os
import pathlib
import stat

from parc_motion.errors import DataError

__all__ = ["open_file", "read_file"]


def open_file(path: pathlib.Path) -> io.BufferedReader:
    """A file, opened for reading; what is not a regular file (pipe, device, socket, folder) is refused at once.

    Raises:
        DataError: it is not a regular file, or cannot be opened.
    """
    try:
        # without O_NONBLOCK, opening a pipe waits for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        raise DataError(f"{path}: cannot read: {err.strerror}.") from err
    except ValueError as err:  # a path with a null byte
        raise DataError(f"{str(path)!r:.200}: cannot read: {err}.") from err
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path}: is not a regular file. Give a file.")
    return os.fdopen(descriptor, "rb")


def read_file(path: pathlib.Path, max_bytes: int, what: str = "files of this kind") -> bytes:
    """The bytes of a file.

    Args:
        max_bytes: a larger file is refused before it is read.
        what: what is read up to this size, for the text of the error.

    Raises:
        DataError: it is larger, is not a regular file, or cannot be read.
    """
    with open_file(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            raise DataError(
                f"{path}: holds {size / 1e6:.1f} MB; {what} are read up to {max_bytes / 1e6:.1f} MB."
            )
        try:
            data = stream.read(size + 1)
        except OSError as err:
            raise DataError(f"{path}: cannot read: {err.strerror}.") from err
    if len(data) > size:  # also files of the kernel, which state no size
        raise DataError(f"{path}: grows while it is read. Read it when it is complete.")
    return data
