"""What was replaced is kept in `superseded`, and taken back where it is just what is needed."""

from __future__ import annotations

import logging
import os
import pathlib
from collections.abc import Callable

from parc_core.stages.marker import read_marker
from parc_core.stages.places import lasting_folder
from parc_core.stages.record import JobRecord, read_record
from parc_motion import storage
from parc_motion.errors import DataError

__all__ = ["set_aside", "take_back_begun", "take_back_finished"]

log = logging.getLogger(__name__)

_AGAIN = "-again"  # end of the name of what is never taken back


def set_aside(folder: pathlib.Path, superseded: pathlib.Path, *, again: bool = False) -> pathlib.Path:
    """Move a folder that is replaced into `superseded`, under a name that tells where it was; returns the new place.

    Args:
        again: the same is to be made again, so that this one is never taken back.

    Raises:
        DataError: 10,000 results of this name are there already.
    """
    for number in range(10_000):
        target = superseded / f"{folder.parent.name}-{folder.name}-{number:03d}"
        repeated = target.with_name(f"{target.name}{_AGAIN}")
        if not (target.exists() or repeated.exists()):
            target = repeated if again else target
            log.info("%s is replaced; it is kept as %s.", lasting_folder(folder), target)
            storage.commit_folder(folder, target)
            return target
    raise DataError(
        f"{superseded}: holds 10,000 earlier results of {folder.name}. Remove what is not needed."
    )


def take_back_finished(folder: pathlib.Path, superseded: pathlib.Path, key: str) -> JobRecord | None:
    """Give a finished job that was set aside its place again, if it has this key and is whole; its record."""
    own = sorted(superseded.glob(f"{folder.parent.name}-{folder.name}-???"), reverse=True)
    stages = sorted(superseded.glob(f"{folder.parent.parent.name}-{folder.parent.name}-???"), reverse=True)
    found = _first(
        [*own, *(stage / folder.name for stage in stages)], lambda place: _is_whole_result(place, key)
    )
    if found is None:
        return None
    record = read_record(found, superseded=True)
    for name in record.files if record is not None else ():
        if name.startswith("../"):
            outside = pathlib.Path(os.path.normpath(folder / name))  # the folder itself is not there yet
            storage.link_file(found / name, outside)
    _move_back(found, folder)
    return record


def take_back_begun(partial: pathlib.Path, superseded: pathlib.Path, key: str) -> None:
    """Give half of a job that was set aside its place again, if it was begun for this key."""
    places = sorted(superseded.glob(f"{partial.parent.name}-{partial.name}-???"), reverse=True)
    found = _first(places, lambda place: (read_marker(place) or {}).get("key") == key)
    if found is not None:
        _move_back(found, partial)


def _is_whole_result(place: pathlib.Path, key: str) -> bool:
    record = read_record(place, superseded=True)
    if record is None or record.key != key:
        return False
    record.checked(place)
    return True


def _first(places: list[pathlib.Path], fits: Callable[[pathlib.Path], bool]) -> pathlib.Path | None:
    """The first of the places that fits; damaged ones do not."""
    for place in places:
        try:
            if fits(place):
                return place
        except DataError as err:
            log.warning("not taken back: %s", err)
    return None


def _move_back(place: pathlib.Path, folder: pathlib.Path) -> None:
    log.info(
        "%s was made with these settings before: it is taken back from %s.", lasting_folder(folder), place
    )
    storage.commit_folder(place, folder)
