"""Zip archives that others made, checked before anything in them is unpacked."""

from __future__ import annotations

import io
import pathlib
import stat
import struct
import zipfile
import zlib

import attrs

from parc_motion.errors import CorruptArtifact, DataError

__all__ = ["BROKEN_ARCHIVE", "ArchiveLimits", "open_archive"]

# what zipfile is known to raise on damaged archives
BROKEN_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, IndexError, RuntimeError,
    NotImplementedError, OverflowError, AttributeError, TypeError, MemoryError, struct.error,
)  # fmt: skip
_END = b"PK\x05\x06"  # begins the 22 bytes at the end
_END_BYTES = 22
_LONG_END = b"PK\x06\x07"  # of archives of 4 GB and more
_LONG_END_BYTES = 20
_ENTRY_BYTES = 46
_ENCRYPTED = 0x1
_FREE_BYTES = 64 << 20  # every archive may unpack to this much ...
_MAX_RATIO = 16  # ... and to this many times its own size; motions reach 2 to 5


@attrs.frozen(kw_only=True)
class ArchiveLimits:
    """What an archive may hold; one beyond it is refused before it is unpacked."""

    members: int
    total_bytes: int  # of all members, unpacked

    def unpacked(self, packed: int) -> int:
        """Bytes that an archive of `packed` bytes may unpack to."""
        return min(self.total_bytes, max(_FREE_BYTES, _MAX_RATIO * packed))


def open_archive(data: bytes, where: str | pathlib.Path, limits: ArchiveLimits) -> zipfile.ZipFile:
    """The archive in the bytes of a file. Reading a member still raises `BROKEN_ARCHIVE` if that member is damaged.

    An archive may unpack to 64 MiB or 16 times its size, whichever is more, and never beyond the limits. Members are
    plain files or folders, stored or deflated: other methods can ask for gigabytes of memory.

    Raises:
        CorruptArtifact: it is damaged, or not an archive.
        DataError: it is beyond the limits, or holds a link, a name twice, or an encrypted or unusually packed member.
    """
    _check_directory(data, where, limits)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except BROKEN_ARCHIVE as err:
        raise CorruptArtifact(f"{where}: damaged, or not a zip archive: {err}.") from err
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    most = limits.unpacked(len(data))
    if total > most:
        raise DataError(
            f"{where}: unpacks from {len(data) / 1e6:.1f} MB to {total / 1e6:.0f} MB; at most {most / 1e6:.0f} MB are "
            "read."
        )
    _check_members(members, where)
    return archive


def _check_directory(data: bytes, where: str | pathlib.Path, limits: ArchiveLimits) -> None:
    """Counts the entries before zipfile makes an object of each; it takes the directory from the same place."""
    end = len(data) - _END_BYTES
    if end < 0 or data[end : end + 4] != _END or data[-2:] != b"\0\0":
        raise CorruptArtifact(f"{where}: damaged, or not a zip archive (one with a comment is not read).")
    if data[max(end - _LONG_END_BYTES, 0) : end].startswith(_LONG_END):
        raise DataError(
            f"{where}: is a zip archive of the 64-bit form, which is not read. Pack less into it."
        )
    (size,) = struct.unpack_from("<I", data, end + 12)
    at, count = end - size, 0
    if at < 0:
        raise CorruptArtifact(f"{where}: damaged: its directory of {size} bytes is larger than the file.")
    while at + _ENTRY_BYTES <= end:
        at += _ENTRY_BYTES + sum(struct.unpack_from("<HHH", data, at + 28))
        count += 1
        if count > limits.members:
            raise DataError(f"{where}: holds more than {limits.members} members; it is not unpacked.")
    if at != end:
        raise CorruptArtifact(
            f"{where}: damaged: its directory ends {abs(at - end)} bytes from where it should."
        )


def _check_members(members: list[zipfile.ZipInfo], where: str | pathlib.Path) -> None:
    names: set[str] = set()
    for member in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            fault = "is a link or a device"
        elif member.flag_bits & _ENCRYPTED:
            fault = "is encrypted"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            fault = f"is packed with method {member.compress_type}"
        elif not member.filename or "\0" in member.orig_filename:
            fault = "has no proper name"
        elif member.filename in names:
            fault = "is there twice"
        else:
            names.add(member.filename)
            continue
        raise DataError(
            f"{where}: its member {member.filename!r:.120} {fault}; only single plain files, stored or deflated, are "
            "read."
        )
