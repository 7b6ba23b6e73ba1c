"""The one module that writes: write, fsync, rename, fsync of the folder.

Nothing else in the packages opens a file for writing; an architecture test holds it. A reader therefore sees the old
file or the new one, never a part, also after a power cut.

Source: order of operations as in LMDB and SQLite (write, fsync the file, rename, fsync the directory).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from parc_motion.errors import StorageError
from parc_motion.storage.faults import operation

__all__ = [
    "append_line",
    "commit_folder",
    "copy_file",
    "copy_folder",
    "link_file",
    "link_folder",
    "make_folder",
    "remove",
    "staged_folder",
    "sweep",
    "write_bytes",
    "write_json",
    "write_text",
    "write_with",
]

_TEMPORARY = ".tmp-"
_STAGED = re.compile(r"\.partial-\d+$")


def write_bytes(path: pathlib.Path, data: bytes | memoryview) -> None:
    """The file `path` holds exactly `data`, or what it held before.

    Raises:
        StorageError: disk full, read-only, no permission; the previous file is intact.
    """

    def write(temporary: pathlib.Path) -> None:
        with temporary.open("wb") as stream:
            stream.write(data)

    write_with(path, write)


def write_text(path: pathlib.Path, text: str) -> None:
    """The file holds the text in UTF-8, or what it held before."""
    write_bytes(path, text.encode())


def write_json(path: pathlib.Path, value: Any) -> None:
    """The file holds the value as JSON, keys in the given order, or what it held before.

    Raises:
        ValueError: the value holds NaN or infinity, which JSON cannot say.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def write_with(path: pathlib.Path, producer: Callable[[pathlib.Path], None]) -> None:
    """Let `producer` write a temporary file beside `path` (same suffix), then put it in place durably.

    For libraries and programs that only write to a file name.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.stem}{_TEMPORARY}{os.getpid()}{path.suffix}")
    with _storage_errors(path):
        make_folder(path.parent)
        try:
            operation(path)
            producer(temporary)
            operation(path, written=temporary)
            _fsync(temporary)
            temporary.chmod(
                0o666 & ~_umask()
            )  # some libraries create 0600, unreadable for a cluster's colleagues
            operation(path)
            os.replace(temporary, path)
            _fsync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def append_line(path: pathlib.Path, line: str) -> None:
    """Append one line and fsync it; a reader tolerates a torn last line, and the next append starts a new one."""
    with _storage_errors(path):
        make_folder(path.parent)
        with path.open("ab+") as stream:
            end = stream.seek(0, os.SEEK_END)
            data = b"\n" if end and _last_byte(stream, end) != b"\n" else b""
            data += line.encode() + b"\n"
            operation(path)
            stream.write(data[: len(data) // 2])
            stream.flush()
            operation(path)
            stream.write(data[len(data) // 2 :])
            stream.flush()
            operation(path)
            os.fsync(stream.fileno())


def copy_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """`target` is a durable copy of `source`."""

    def copy(temporary: pathlib.Path) -> None:
        shutil.copyfile(source, temporary)

    write_with(target, copy)


def link_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """`target` is a second name of the file `source`, or a durable copy where the file system has no hard links."""

    write_with(target, lambda temporary: _link(source, temporary))


def link_folder(source: pathlib.Path, final: pathlib.Path) -> None:
    """`final` is a folder with second names of the files in a folder, complete or not there. It must not exist."""
    staged = staged_folder(final)
    remove(staged)
    make_folder(staged)
    with _storage_errors(final):
        operation(final)
        for file in sorted(path for path in source.iterdir() if path.is_file()):
            _link(file, staged / file.name)
    commit_folder(staged, final)


def make_folder(path: pathlib.Path) -> pathlib.Path:
    """The folder, made durably together with its missing parents."""
    path = pathlib.Path(path)
    with _storage_errors(path):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            operation(folder)
            folder.mkdir(exist_ok=True)
            _fsync(folder.parent)
    return path


def commit_folder(staged: pathlib.Path, final: pathlib.Path) -> None:
    """Give a finished folder its final name, durably. `final` must not exist.

    Raises:
        StorageError: `final` exists already, or the rename fails.
    """
    with _storage_errors(final):
        if final.exists():
            raise StorageError(
                f"{final}: exists already; a finished folder is never overwritten. Move it away."
            )
        for file in staged.rglob("*"):
            _fsync(file)
        _fsync(staged)
        make_folder(final.parent)
        operation(final)
        os.rename(staged, final)
        _fsync(final.parent)
        if staged.parent != final.parent:
            _fsync(staged.parent)


def copy_folder(source: pathlib.Path, final: pathlib.Path, skip: Iterable[str] = ()) -> None:
    """`final` is a durable copy of a folder, complete or not there. It must not exist.

    Args:
        skip: names of folders in it that are left out.
    """
    staged = staged_folder(final)
    remove(staged)
    make_folder(final.parent)
    with _storage_errors(final):
        operation(final)
        shutil.copytree(source, staged, ignore=shutil.ignore_patterns(*skip))
    commit_folder(staged, final)


def remove(path: pathlib.Path) -> None:
    """Remove a file or a folder; nothing happens when it does not exist.

    A folder is gone at once, as far as readers see: if the process dies on the way, what remains is swept.
    """
    if not (path.exists() or path.is_symlink()):
        return
    with _storage_errors(path):
        operation(path)
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        if not (path.name.startswith(".") and _TEMPORARY in path.name):
            hidden = path.with_name(f".{path.name}{_TEMPORARY}{os.getpid()}-{time.monotonic_ns()}")
            os.rename(path, hidden)
            path = hidden
            operation(path)
        shutil.rmtree(path)


def sweep(folder: pathlib.Path, skip: str | None = None) -> int:
    """Remove what a killed process left below `folder`: temporary files, and staged folders; returns how many.

    Call it only while nobody else works there.

    Args:
        skip: name of a folder in `folder` that others work in; it is left alone.
    """
    found = [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != skip]
    left = [
        path
        for path in found
        if (path.name.startswith(".") and _TEMPORARY in path.name)
        or (_STAGED.search(path.name) and path.is_dir())
    ]
    for path in left:
        remove(path)
    return len(left)


def staged_folder(final: pathlib.Path) -> pathlib.Path:
    """Where this process prepares a folder before `commit_folder` gives it its name; `sweep` knows the form."""
    return final.with_name(f"{final.name}.partial-{os.getpid()}")


@contextlib.contextmanager
def _storage_errors(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as err:
        raise StorageError(
            f"{path}: cannot write: {_cause(path, err)}. Nothing was lost; free space or fix it, and run again."
        ) from err
    except Exception as err:  # safetensors reports a full disk with its own exception class
        if "os error 28" in str(err) or "unexpected pos" in str(err):
            raise StorageError(f"{path}: cannot write: {_cause(path, OSError(errno.ENOSPC, ''))}.") from err
        raise


def _cause(path: pathlib.Path, err: OSError) -> str:
    text = os.strerror(err.errno) if err.errno else str(err)
    if err.errno == errno.ENOSPC:
        folder = next((p for p in (path, *path.parents) if p.is_dir()), pathlib.Path("/"))
        text += f" ({shutil.disk_usage(folder).free / 1e6:.1f} MB free)"
    return text


def _link(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _fsync(path: pathlib.Path) -> None:
    operation(path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_byte(stream: Any, end: int) -> bytes:
    stream.seek(end - 1)
    byte = stream.read(1)
    stream.seek(0, os.SEEK_END)
    return byte


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
