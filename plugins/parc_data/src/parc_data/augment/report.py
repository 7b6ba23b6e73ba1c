"""Content of `augment.json`: the settings, the result for each clip, and a row per variation."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["clip_row", "totals"]

_SHOWN = ("terrain_penetration", "max_penetration_m", "foot_slide_m", "max_foot_slide_m")


def clip_row(
    place: str, parent: str, wanted: int, rows: Mapping[tuple[str, int], dict[str, Any]]
) -> dict[str, Any]:
    """The result for one clip."""
    own = [rows[(place, number)] for number in range(wanted) if (place, number) in rows]
    kept = [row for row in own if row["file"]]
    refused = collections.Counter(one["reason"] for row in own for one in row["refused"])
    return {
        "clip": place,
        "parent": parent,
        "wanted": wanted,
        "kept": len(kept),
        "missing": [row["variation"] for row in own if not row["file"]],
        "refused": dict(sorted(refused.items())),
        "before": _means(row["metrics_before"] for row in kept),
        "after": _means(row["metrics_after"] for row in kept),
        "variations": [
            {key: value for key, value in row.items() if key not in ("settings", "place", "parent")}
            for row in own
        ],
    }


def totals(clips: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the clips."""
    clips = list(clips)
    refused: collections.Counter[str] = collections.Counter()
    for clip in clips:
        refused.update(clip["refused"])
    return {
        "wanted": sum(clip["wanted"] for clip in clips),
        "kept": sum(clip["kept"] for clip in clips),
        "refused": dict(sorted(refused.items())),
    }


def _means(metrics: Iterable[dict[str, float]]) -> dict[str, float]:
    """The most important metrics, averaged over the variations; of each `max_*` the largest."""
    table = list(metrics)
    result = {}
    for name in _SHOWN:
        values = [row[name] for row in table if name in row]
        if values:
            result[name] = max(values) if name.startswith("max_") else sum(values) / len(values)
    return result
