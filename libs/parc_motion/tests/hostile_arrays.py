"""Builders of hostile `.npz` files: archives and members made by hand, around the parts of a sound clip."""

from __future__ import annotations

import io
import json
import os
import pathlib
import pickle
import socket
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from parc_motion.clips import MotionClip, Provenance
from parc_motion.terrains import Path
from parc_testing.builders import make_clip

MEGA = 1 << 20
Entry = Callable[[pathlib.Path], None]


def sound_clip() -> MotionClip:
    """A clip with everything that a file can hold."""
    clip = make_clip(10, touched=[[0, 1, 2], [9, 3, 4]])
    terrain = attrs.evolve(clip.terrain, bounds=np.zeros((*clip.terrain.shape, 2)))
    path = Path(points=np.eye(3), kinds=[0, 1], cost=2.5)
    provenance = Provenance(
        stage="kin_gen", provider="mdm", seed=3, parents=("a" * 64,), scores={"loss": 0.5}
    )
    return attrs.evolve(clip, terrain=terrain, path=path, provenance=provenance)


def parts_of(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and header of a stored file."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return arrays, json.loads(arrays.pop("header").tobytes())


def npy(value: Any) -> bytes:
    """A `.npy` file; objects are pickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(value), allow_pickle=True)
    return buffer.getvalue()


def forged_npy(
    header: str, body: bytes = b"", version: tuple[int, int] = (1, 0), size: int | None = None
) -> bytes:
    """A `.npy` file whose header is this text."""
    text = header.encode("latin1")
    stated = struct.pack("<H" if version[0] == 1 else "<I", len(text) if size is None else size)
    return b"\x93NUMPY" + bytes(version) + stated + text + body


def described(shape: str = "(10, 3)", descr: str = "'<f4'", fortran: str = "False") -> str:
    """The text of a `.npy` header."""
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **fields: Any) -> bytes:
    """A zip archive; `fields` are set on the entry of each member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as written:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            for field, value in fields.items():
                setattr(entry, field, value)
            written.writestr(entry, content, compresslevel=1)
    return buffer.getvalue()


class Exploding:
    """Pickles as a call of os.system."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def exploding(command: str) -> bytes:
    """A `.npy` file of an array of objects that runs a command when it is unpickled."""
    return forged_npy(described("(1,)", "'|O'"), pickle.dumps(np.array([Exploding(command)], dtype=object)))


def zeros(count: int, dtype: str = "<f4", width: int = 0) -> bytes:
    """A `.npy` file of zeros, as a compressible bomb: `count` of them, in rows of `width`."""
    shape = f"({count // width}, {width})" if width else f"({count},)"
    return forged_npy(described(shape, f"'{dtype}'"), bytes(count * np.dtype(dtype).itemsize))


def patched(data: bytes, signature: bytes, offset: int, value: bytes, last: bool = False) -> bytes:
    """The archive with some bytes of its first (or last) structure of a signature replaced."""
    at = (data.rfind if last else data.find)(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def no_file(kind: str) -> Entry:
    """Something under the path that is not a regular file."""

    def make(path: pathlib.Path) -> None:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "socket":
            here = os.getcwd()
            os.chdir(path.parent)  # the name of a socket has at most 108 bytes
            try:
                with socket.socket(socket.AF_UNIX) as server:
                    server.bind(path.name)
            finally:
                os.chdir(here)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "terminal":
            path.symlink_to("/dev/ptmx")
        elif kind == "dangling":
            path.symlink_to(path.with_name("nowhere"))
        elif kind == "loop":
            path.symlink_to(path)
        elif kind == "endless":
            path.symlink_to("/proc/self/pagemap")
        elif kind == "sparse":
            with path.open("wb") as stream:
                stream.truncate(1 << 40)

    return make


NO_FILES = {
    f"path_{kind}": no_file(kind)
    for kind in (
        "pipe",
        "folder",
        "socket",
        "device",
        "terminal",
        "dangling",
        "loop",
        "endless",
        "sparse",
        "missing",
    )
}


def many_members(count: int) -> bytes:
    """An archive whose directory lists one empty member over and over."""
    data = archive({"a.npy": b""}, zipfile.ZIP_STORED)
    start, end = data.find(b"PK\1\2"), data.rfind(b"PK\5\6")
    return (
        data[:start]
        + data[start:end] * count
        + patched(data[end:], b"PK\5\6", 12, struct.pack("<I", (end - start) * count))
    )


def link_entry() -> int:
    """External attributes of a symbolic link."""
    return (stat.S_IFLNK | 0o777) << 16
