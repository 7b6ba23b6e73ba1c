"""Class-balanced sampling weights of clips, and the manifest that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from parc_motion.clips import DatasetEntry, MotionDataset, class_balanced_weights
from parc_motion.errors import DataError

__all__ = ["balanced_dataset", "class_table"]


def balanced_dataset(
    entries: Iterable[DatasetEntry], class_weights: Mapping[str, float] | None = None
) -> MotionDataset:
    """A data set in which every class is sampled equally often, clips of a class in proportion to their length.

    Args:
        class_weights: relative sampling frequency of a class; 1 for classes that are not named.

    Raises:
        DataError: two clips have the same name, or no clip has a class that is weighted.
    """
    entries, factors = list(entries), dict(class_weights or {})
    seen: dict[str, DatasetEntry] = {}
    for entry in entries:
        if entry.name in seen:
            raise DataError(
                f"two clips are called '{entry.name}': {seen[entry.name].file} and {entry.file}. Rename one, or merge "
                "with --rename."
            )
        seen[entry.name] = entry
    classes = [entry.motion_class for entry in entries]
    unknown = sorted(factors.keys() - set(classes))
    if unknown:
        raise DataError(f"no clip has class '{unknown[0]}'; there are {', '.join(sorted(set(classes)))}.")
    weights = class_balanced_weights(classes, [entry.length for entry in entries])
    weights *= np.array([factors.get(name, 1.0) for name in classes])
    if not weights.sum() > 0:
        raise DataError("every class has weight 0, so no clip would ever be sampled. Give one more than 0.")
    weights /= weights.sum()
    return MotionDataset(
        entries=tuple(attrs.evolve(entry, weight=float(weight)) for entry, weight in zip(entries, weights))
    )


def class_table(dataset: MotionDataset) -> list[dict[str, Any]]:
    """One row per class, by name: clips, frames, seconds, weight."""
    rows = []
    for name in sorted({entry.motion_class for entry in dataset.entries}):
        members = [entry for entry in dataset.entries if entry.motion_class == name]
        rows.append(
            {
                "class": name,
                "clips": len(members),
                "frames": sum(entry.num_frames for entry in members),
                "seconds": round(sum(entry.length for entry in members), 3),
                "weight": round(sum(entry.weight for entry in members), 6),
            }
        )
    return rows
