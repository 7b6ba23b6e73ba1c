"""Names of the folders of jobs, at work and finished."""

from __future__ import annotations

import pathlib

__all__ = ["PARTIAL", "PARTS", "lasting_folder"]

PARTIAL = ".partial"  # end of the name of a folder at work
PARTS = ".parts"  # jobs that a job is split into, while it is at work


def lasting_folder(folder: pathlib.Path) -> pathlib.Path:
    """Where what lies in a job's working folder will lie in the end.

    >>> lasting_folder(pathlib.Path("iter_001/p4_phys_record.partial/.parts/chunk_00000.partial"))
    PosixPath('iter_001/p4_phys_record/chunk_00000')
    """
    parent = folder.parent
    if parent.name == PARTS:
        parent = lasting_folder(parent.parent)
    return parent / folder.name.removesuffix(PARTIAL)
