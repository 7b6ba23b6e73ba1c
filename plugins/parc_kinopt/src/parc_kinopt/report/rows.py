"""What stage 2 wrote about the clips that it refined."""

from __future__ import annotations

import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from parc_kinopt.config import WeightConfig
from parc_motion import storage
from parc_motion.errors import DataError

__all__ = ["SOURCE_TERMS", "Row", "find_rows", "summary", "worst_first"]

#: terms that are 0 before: they say how far the clip went from its source, not what is wrong with it
SOURCE_TERMS = ("root_pos", "root_rot", "joint_rot", "smoothness", "steadiness")

_FILE = "refined.json"
_LEFT_OUT = {"superseded", "ignore"}
_SHOWN = 10  # clips in the summary


@attrs.frozen(kw_only=True)
class Row:
    """One refined clip."""

    name: str
    before: dict[str, float]  # unweighted loss per term
    after: dict[str, float]
    unresolved: tuple[str, ...]
    removed_frames: tuple[int, ...]
    refined: pathlib.Path  # its clip file
    raw: pathlib.Path  # and that of the clip as it was generated

    @property
    def rest(self) -> float:
        """Weighted loss that is left of what was wrong, with the default weights."""
        weights = attrs.asdict(WeightConfig())
        return sum(
            weights.get(name, 0.0) * value for name, value in self.after.items() if name not in SOURCE_TERMS
        )


def find_rows(place: pathlib.Path) -> list[Row]:
    """The refined clips of every batch at or below a folder, in a steady order.

    Raises:
        DataError: there is no such folder, nothing was refined there, or its record cannot be used.
    """
    if not place.is_dir():
        raise DataError(
            f"{place}: is not a folder. Give a run folder, an iteration or a batch of p2_kin_gen."
        )
    files = sorted(
        file for file in place.rglob(_FILE) if not _LEFT_OUT & set(file.relative_to(place).parts[:-1])
    )
    rows = [row for file in files for row in _rows_of(file)]
    if not rows:
        raise DataError(
            f"{place}: no refined clips below it ({_FILE}, outside {' and '.join(sorted(_LEFT_OUT))}). "
            "Stage kin_gen writes them; did it run?"
        )
    return rows


def _rows_of(file: pathlib.Path) -> list[Row]:
    entries = storage.read_json(file)
    folder = file.parent
    raw = folder.parent / "ignore" / "raw" / folder.name
    try:
        return [
            Row(
                name=entry["clip"],
                before=_numbers(entry["before"]),
                after=_numbers(entry["after"]),
                unresolved=tuple(entry["unresolved"]),
                removed_frames=tuple(entry["removed_frames"]),
                refined=folder / f"{entry['clip']}.npz",
                raw=raw / f"{entry['clip'].removesuffix('_opt')}.npz",
            )
            for entry in entries
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as err:
        raise DataError(
            f"{file}: is not the record of a refinement ({type(err).__name__}: {err}), expected a list of objects "
            "with clip, before, after, unresolved and removed_frames. Was it written by stage kin_gen?"
        ) from err


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    numbers = {name: float(value) for name, value in values.items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a loss is not finite")
    return numbers


def worst_first(rows: Sequence[Row]) -> list[Row]:
    """Clips with something unresolved first, then by the loss that is left."""
    return sorted(rows, key=lambda row: (not row.unresolved, -row.rest))


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of the picture."""
    names = list(dict.fromkeys(name for row in rows for name in row.before))
    terms = {
        name: {
            side: statistics.median(getattr(row, side)[name] for row in rows if name in getattr(row, side))
            for side in ("before", "after")
        }
        for name in names
    }
    worst = [
        {"clip": row.name, "rest": row.rest, "unresolved": list(row.unresolved)}
        for row in worst_first(rows)[:_SHOWN]
    ]
    return {
        "clips": len(rows),
        "unresolved": sum(bool(row.unresolved) for row in rows),
        "removed_frames": sum(len(row.removed_frames) for row in rows),
        "median_losses": terms,
        "worst": worst,
    }
