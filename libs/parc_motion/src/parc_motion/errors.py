"""Errors about files and arrays, with the exit code that `parc` gives for each.

A message has four parts, in this order: where (file:line:column or artifact), what is wrong with the value shown,
what would have been right or what exists, what to do.
"""

from __future__ import annotations

__all__ = [
    "CorruptArtifact",
    "DataError",
    "ParcError",
    "RunLocked",
    "ShapeError",
    "SkeletonMismatch",
    "StorageError",
]


class ParcError(Exception):
    """Base of every error that PARC raises on purpose; its text is fit for a user."""

    exit_code = 70


class DataError(ParcError):
    """A file or array does not hold what it should."""

    exit_code = 65


class ShapeError(DataError):
    """An array has the wrong shape or type."""


class CorruptArtifact(DataError):
    """A file is damaged: unreadable, truncated, or its digest differs from the recorded one."""


class SkeletonMismatch(DataError):
    """A clip was made for another character."""


class StorageError(ParcError):
    """A file or folder cannot be written: disk full, read-only, no permission."""

    exit_code = 73


class RunLocked(ParcError):
    """Another process holds the run folder."""

    exit_code = 75
