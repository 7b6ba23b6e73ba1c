"""Many items of unequal length as one memory-mapped `.npy` file per field: a store that opens in milliseconds.

A folder holds `<field>.npy` (the rows of all items, one after the other), `rows_<group>.npy` (where each item begins;
fields of one group have equally many rows per item) and `packed.json` with types, sizes and SHA-256 of every file.
Rows are read by slicing; nothing is loaded before it is used.
"""

from __future__ import annotations

import io
import math
import os
import pathlib
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import attrs
import numpy as np

from parc_motion.errors import CorruptArtifact, DataError, ShapeError
from parc_motion.stopping import stop_point
from parc_motion.storage.arrays import DAMAGED, npy_header, read_npy
from parc_motion.storage.atomic import _storage_errors, make_folder, remove, write_bytes, write_json
from parc_motion.storage.digests import digest_file, digest_json, read_json
from parc_motion.storage.faults import operation
from parc_motion.storage.files import open_file, read_file

if TYPE_CHECKING:
    import torch

__all__ = ["PackedArrays", "PackedField", "PackedWriter"]

_FORMAT = 1
_KIND = "parc.packed"
_MANIFEST = "packed.json"
_PROGRESS = "progress.json"  # of an unfinished store
_MAX_ROWS_BYTES = 256 << 20  # 33 million items
_HEADER_BYTES = 128  # of a .npy file; the number of rows is filled in at the end


@attrs.frozen(kw_only=True)
class PackedField:
    """One array per item: ``[rows of the item, *shape]``."""

    dtype: str  # as NumPy spells it, e.g. "<f4"
    shape: tuple[int, ...]  # of one row
    group: str  # fields of one group have equally many rows in every item


class PackedWriter:
    """Writes a store into a folder, item by item; the folder is not a store before `finish`.

    Give it a folder without readers, and `commit_folder` it afterwards. An interrupted writer continues after its last
    `checkpoint`: the next writer of that folder, these fields and this `key` has `num_items` items and its `progress`.

    >>> with PackedWriter(staged, {"pos": PackedField(dtype="<f4", shape=(3,), group="frames")}) as writer:
    ...     writer.append({"pos": positions})
    ...     writer.finish({"names": ["a"]})
    """

    def __init__(self, folder: pathlib.Path, fields: Mapping[str, PackedField], *, key: Any = None) -> None:
        self.folder, self.fields = pathlib.Path(folder), dict(fields)
        self.key = key  # JSON value: only a writer of the same key continues an interrupted one
        self.progress: Any = None  # what the last checkpoint of an interrupted writer was given
        self._rows: dict[str, list[int]] = {field.group: [] for field in self.fields.values()}
        self._streams: dict[str, BinaryIO] = {}

    @property
    def num_items(self) -> int:
        """Items that are written, including those of the interrupted writer that this one continues."""
        return len(next(iter(self._rows.values()), []))

    def __enter__(self) -> PackedWriter:
        make_folder(self.folder)
        self._read_progress()
        with _storage_errors(self.folder):
            for name, field in self.fields.items():
                operation(self.folder / f"{name}.npy")
                size = _HEADER_BYTES + sum(self._rows[field.group]) * _row_bytes(field)
                stream = (self.folder / f"{name}.npy").open("r+b" if self.num_items else "wb")
                stream.truncate(size)  # drops what was written after the checkpoint
                stream.seek(size)
                self._streams[name] = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for stream in self._streams.values():
            stream.close()

    def append(self, item: Mapping[str, np.ndarray]) -> None:
        """Add an item; every field has to be there.

        Raises:
            ShapeError: rows of another shape, or fields of one group with different numbers of rows.
            Stopped: this process was asked to stop.
        """
        stop_point()
        rows: dict[str, int] = {}
        for name, field in self.fields.items():
            array = item[name]
            if array.shape[1:] != field.shape or rows.setdefault(field.group, len(array)) != len(array):
                raise ShapeError(
                    f"{self.folder}: item {len(self._rows[field.group])}: {name} has shape {list(array.shape)}, "
                    f"expected [{rows.get(field.group, 'any')}, *{list(field.shape)}]."
                )
        with _storage_errors(self.folder):
            operation(self.folder)
            for name, field in self.fields.items():
                self._streams[name].write(np.ascontiguousarray(item[name], dtype=field.dtype).data)
        for group, count in rows.items():
            self._rows[group].append(count)

    def checkpoint(self, progress: Any) -> None:
        """Make what is written so far durable, together with `progress` (a JSON value)."""
        with _storage_errors(self.folder):
            for stream in self._streams.values():
                operation(self.folder)
                stream.flush()
                os.fsync(stream.fileno())
        document = {
            "key": self.key,
            "fields": self._described_fields(),
            "rows": self._rows,
            "progress": progress,
        }
        write_json(self.folder / _PROGRESS, document)

    def finish(self, meta: Any) -> None:
        """Complete the files and write the manifest, with `meta` (a JSON value) in it."""
        with _storage_errors(self.folder):
            for name, field in self.fields.items():
                stream = self._streams[name]
                operation(self.folder / f"{name}.npy")
                stream.seek(0)
                stream.write(_npy_header(field, sum(self._rows[field.group])))
                stream.close()
        for group, rows in self._rows.items():
            buffer = io.BytesIO()
            np.save(buffer, np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]).astype("<i8"))
            write_bytes(self.folder / _rows_file(group), buffer.getbuffer())
        files = [f"{name}.npy" for name in self.fields] + [_rows_file(group) for group in self._rows]
        document = {
            "format": _FORMAT,
            "kind": _KIND,
            "num_items": self.num_items,
            "fields": self._described_fields(),
            "files": {
                name: {"sha256": digest_file(self.folder / name), "size": (self.folder / name).stat().st_size}
                for name in files
            },
            "meta": meta,
        }
        write_json(self.folder / _MANIFEST, {**document, "digest": digest_json(document)})
        remove(self.folder / _PROGRESS)

    def _described_fields(self) -> dict[str, Any]:
        described = {name: attrs.asdict(field) for name, field in self.fields.items()}
        return {name: {**field, "shape": list(field["shape"])} for name, field in described.items()}

    def _read_progress(self) -> None:
        """Continue after the last checkpoint in the folder; start over if there is none that fits."""
        try:
            document = read_json(self.folder / _PROGRESS)
            rows = {group: [int(count) for count in document["rows"][group]] for group in self._rows}
            fits = [document["key"], document["fields"]] == [self.key, self._described_fields()] and len(
                {len(r) for r in rows.values()}
            ) <= 1
            for name, field in self.fields.items():
                written = (self.folder / f"{name}.npy").stat().st_size
                fits &= written >= _HEADER_BYTES + sum(rows[field.group]) * _row_bytes(field)
        except (DataError, KeyError, TypeError, ValueError, OSError):
            return
        if fits:
            self._rows, self.progress = rows, document["progress"]


@attrs.frozen(kw_only=True, eq=False)
class PackedArrays:
    """A store, opened; arrays are read-only views of the files."""

    folder: pathlib.Path
    num_items: int
    fields: dict[str, PackedField]
    arrays: dict[str, np.ndarray]  # field -> rows of all items
    rows: dict[
        str, np.ndarray
    ]  # group -> where each item begins, and the end of the last, [num_items + 1] int64
    meta: Any

    @staticmethod
    def load(folder: pathlib.Path, *, verify: bool = True) -> PackedArrays:
        """The store in a folder.

        Args:
            verify: compare every file with its SHA-256 (about 1 s per 1.5 GB). The digest of the manifest and the sizes
                of the files are always checked.

        Raises:
            DataError: no store of a known format lies there.
            CorruptArtifact: a file is missing or damaged.
        """
        folder = pathlib.Path(folder)
        document = _read_manifest(folder)
        try:
            fields = {
                name: PackedField(**{**field, "shape": tuple(field["shape"])})
                for name, field in document["fields"].items()
            }
            groups = dict.fromkeys(field.group for field in fields.values())
            _check_names(
                {f"{name}.npy" for name in fields} | {_rows_file(group) for group in groups},
                document["files"],
            )
            for name, expected in document["files"].items():
                _check_file(folder / name, expected, verify)
            count = int(document["num_items"])
            rows = {group: _read_rows(folder / _rows_file(group), count) for group in groups}
            arrays = {
                name: _read_only(folder / f"{name}.npy", field, int(rows[field.group][-1]))
                for name, field in fields.items()
            }
            meta = document["meta"]
        except DAMAGED as err:
            raise CorruptArtifact(f"{folder / _MANIFEST}: {err!r:.300}. Pack the clips again.") from err
        return PackedArrays(
            folder=folder, num_items=count, fields=fields, arrays=arrays, rows=rows, meta=meta
        )

    def tensors(self, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """The rows of each field as a tensor: on the CPU a map of the file, elsewhere a copy.

        What is written into a map stays in the memory of this process; the file does not change.
        """
        import torch

        maps = {
            name: _map(self.folder / f"{name}.npy", self.fields[name], len(rows), "c")
            for name, rows in self.arrays.items()
        }
        return {name: torch.from_numpy(rows).to(device) for name, rows in maps.items()}

    def item(self, index: int) -> dict[str, np.ndarray]:
        """The fields of one item, as views of the files."""
        return {
            name: self.arrays[name][self.rows[field.group][index] : self.rows[field.group][index + 1]]
            for name, field in self.fields.items()
        }


def _row_bytes(field: PackedField) -> int:
    return math.prod(field.shape) * np.dtype(field.dtype).itemsize


def _rows_file(group: str) -> str:
    return f"rows_{group}.npy"


def _read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / _MANIFEST
    if not path.is_file():
        raise DataError(
            f"{folder}: no packed store here ({_MANIFEST} is missing). `parc data pack` makes one."
        )
    document = read_json(path)
    if not isinstance(document, dict) or [document.get("kind"), document.get("format")] != [_KIND, _FORMAT]:
        raise DataError(f"{path}: not a packed store of format {_FORMAT}. Pack the clips again.")
    if document.pop("digest", None) != digest_json(document):
        raise CorruptArtifact(f"{path}: its digest differs; it is damaged. Pack the clips again.")
    return document


def _check_names(wanted: set[str], listed: Mapping[str, Any]) -> None:
    """Nothing, if the manifest lists exactly the files of its fields, all of them in the folder itself."""
    if wanted != set(listed) or any(pathlib.PurePath(name).name != name for name in wanted):
        raise ValueError(f"lists the files {sorted(listed)}, expected {sorted(wanted)}")


def _npy_header(field: PackedField, rows: int) -> bytes:
    """Header of a version 1.0 `.npy` file of exactly `_HEADER_BYTES` bytes."""
    text = str({"descr": field.dtype, "fortran_order": False, "shape": (rows, *field.shape)})
    padded = text.ljust(_HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little") + padded.encode("latin1")


def _check_file(path: pathlib.Path, expected: Mapping[str, Any], verify: bool) -> None:
    if not path.is_file():
        raise CorruptArtifact(f"{path}: missing, but listed in {_MANIFEST}. Pack the clips again.")
    size = path.stat().st_size
    if size != expected["size"]:
        raise CorruptArtifact(
            f"{path}: {size} bytes, expected {expected['size']}; the file is damaged. Pack the clips again."
        )
    if verify and digest_file(path) != expected["sha256"]:
        raise CorruptArtifact(
            f"{path}: its SHA-256 differs from the one recorded in {_MANIFEST}; the file is damaged. "
            "Pack the clips again."
        )


def _read_rows(path: pathlib.Path, count: int) -> np.ndarray:
    starts = read_npy(read_file(path, _MAX_ROWS_BYTES, "row files"), str(path))
    if starts.dtype != np.dtype("<i8") or starts.shape != (count + 1,):
        raise ValueError(
            f"{path.name} has shape {list(starts.shape)} of {starts.dtype}, expected [{count + 1}]"
        )
    if starts[0] != 0 or (np.diff(starts) < 0).any():
        raise ValueError(f"{path.name} does not ascend from 0")
    return starts


def _map(path: pathlib.Path, field: PackedField, rows: int, mode: Literal["r", "c"]) -> np.ndarray:
    """A map of the file, whose header has to say what the manifest says, and whose size has to follow from it."""
    expected, dtype = (rows, *field.shape), np.dtype(field.dtype)
    with open_file(path) as stream:
        shape, fortran, stored = npy_header(stream)
        start, size = stream.tell(), os.fstat(stream.fileno()).st_size
        if (shape, fortran, stored) != (expected, False, dtype) or dtype.kind not in "biuf":
            raise ValueError(
                f"{path.name} holds {list(shape)[:8]} of {stored}, expected {list(expected)} of {dtype}"
            )
        if size != start + rows * _row_bytes(field):
            raise ValueError(f"{path.name} has {size} bytes, expected {start + rows * _row_bytes(field)}")
        if size == start:
            return np.zeros(expected, dtype)  # nothing can be mapped of an empty array
        # a plain view of the map is sliced four times as fast as the map itself
        return np.memmap(stream, dtype, mode, start, expected).view(np.ndarray)


def _read_only(path: pathlib.Path, field: PackedField, rows: int) -> np.ndarray:
    array = _map(path, field, rows, "r")
    array.setflags(write=False)
    return array
