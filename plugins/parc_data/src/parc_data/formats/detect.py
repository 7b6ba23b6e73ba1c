"""Which format a file has, by its content."""

from __future__ import annotations

import importlib
import pathlib
from functools import cache

from parc_data.formats.format import Format
from parc_motion.errors import DataError
from parc_motion.storage import open_file

__all__ = ["detect", "find_format", "formats", "motion_files"]

_NAMES = (
    "bvh",
    "asf_amc",
    "amass",
    "deepmimic",
    "amp",
    "mimickit",
    "parc_ms",
    "joints",
    "g1",
)  # of modules, too
_HEAD = 4096


@cache
def find_format(name: str) -> Format:
    """The format of a name.

    Raises:
        DataError: there is none; the text lists those that exist.
    """
    if name not in _NAMES:
        raise DataError(f"no motion format is called '{name}'. There are {', '.join(_NAMES)}.")
    return importlib.import_module(f"parc_data.formats.{name}").FORMAT


def formats() -> list[Format]:
    """All formats, the more particular ones first."""
    return [find_format(name) for name in _NAMES]


def detect(path: pathlib.Path) -> Format | None:
    """The format that recognizes the file, None when none does.

    Raises:
        DataError: the file cannot be read.
    """
    with open_file(path) as stream:
        head = stream.read(_HEAD)
    return next((one for one in formats() if one.recognizes(path, head)), None)


def motion_files(paths: list[pathlib.Path], only: Format | None = None) -> list[tuple[pathlib.Path, Format]]:
    """Motion files among the given files and folders (searched recursively), sorted, each with its format.

    A file that is given by name has to be a motion; in a folder other files are skipped.

    Args:
        only: read every file as this format; in folders then only files with its suffixes.

    Raises:
        DataError: a path does not exist, a given file is not a motion, or no file is left.
    """
    found: dict[pathlib.Path, Format] = {}
    for path in paths:
        if path.is_dir():
            found.update(_inside(path, only))
        elif path.exists():
            known = only or detect(path)
            if known is None:
                raise DataError(
                    f"{path}: not a known motion format. Known are: "
                    + "; ".join(f"{one.name} ({one.summary})" for one in formats())
                    + ". If it is one of them, say so with --format."
                )
            found[path] = known
        else:
            raise DataError(f"{path}: no such file or folder (looked from {pathlib.Path.cwd()}).")
    if not found:
        what = f"{only.name} file ({', '.join(only.suffixes)})" if only else "motion file"
        raise DataError(f"{', '.join(map(str, paths))}: no {what} there.")
    return sorted(found.items())


def _inside(folder: pathlib.Path, only: Format | None) -> dict[pathlib.Path, Format]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        known = only if only is not None and path.suffix.lower() in only.suffixes else None
        if only is None:
            known = detect(path)
        if known is not None:
            found[path] = known
    return found
