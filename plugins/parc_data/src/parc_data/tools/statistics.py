"""Statistics of a set of clips by class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from parc_motion.clips import MotionClip, class_balanced_weights

__all__ = ["class_statistics"]

_CONTACT = 0.5  # labels above it mean contact


def class_statistics(clips: Iterable[MotionClip], weights: Iterable[float | None]) -> list[dict[str, Any]]:
    """One row per class, by name, and one for all ("") at the end.

    * ``clips``, ``frames``, ``seconds`` (frames / fps), ``weight`` (share of the samples)
    * ``fps``: the rates that occur; ``length_s``: shortest and longest clip
    * ``terrain_cells``: smallest and largest number of cells along each axis, ``terrain_height_m``: lowest and highest
      cell; None without terrain
    * ``contact_share``: share of frames in which some body touches; ``no_contacts``: clips without a single label
    * ``speed_m_s``: horizontal speed of the root: smallest, mean, largest over the frames

    Args:
        weights: of each clip in a manifest; where one is None, all are computed to balance the classes.
    """
    facts = [_facts(clip) for clip in clips]
    given = list(weights)
    if any(weight is None for weight in given):
        given = list(class_balanced_weights([f["class"] for f in facts], [f["seconds"] for f in facts]))
    for fact, weight in zip(facts, given):
        fact["weight"] = float(weight)  # type: ignore[arg-type]
    total = sum(fact["weight"] for fact in facts)
    names = sorted({fact["class"] for fact in facts})
    rows = [_row(name, [fact for fact in facts if fact["class"] == name], total) for name in names]
    return [*rows, _row("", facts, total)]


def _facts(clip: MotionClip) -> dict[str, Any]:
    moved = np.linalg.norm(np.diff(clip.root_pos[:, :2].astype(np.float64), axis=0), axis=-1)
    speed = moved * clip.fps if len(moved) else np.zeros(1)
    held = (clip.contacts > _CONTACT).any(axis=1)
    terrain = clip.terrain
    return {
        "class": clip.motion_class,
        "frames": clip.num_frames,
        "seconds": clip.num_frames / clip.fps,
        "length": clip.length,
        "fps": clip.fps,
        "cells": None if terrain is None else terrain.shape,
        "height": None if terrain is None else (float(terrain.height.min()), float(terrain.height.max())),
        "held": int(held.sum()),
        "speed": (float(speed.min()), float(speed.mean()), float(speed.max())),
    }


def _row(name: str, facts: list[dict[str, Any]], total: float) -> dict[str, Any]:
    frames = sum(fact["frames"] for fact in facts)
    cells = [fact["cells"] for fact in facts if fact["cells"] is not None]
    heights = [fact["height"] for fact in facts if fact["height"] is not None]
    slowest, mean, fastest = (np.array([fact["speed"][k] for fact in facts]) for k in range(3))
    share = [fact["frames"] / frames for fact in facts]
    lengths = [fact["length"] for fact in facts]
    return {
        "class": name,
        "clips": len(facts),
        "frames": frames,
        "seconds": round(sum(fact["seconds"] for fact in facts), 3),
        "weight": round(sum(fact["weight"] for fact in facts) / total, 6) if total else 0.0,
        "fps": sorted({round(fact["fps"], 6) for fact in facts}),
        "length_s": [round(min(lengths), 3), round(max(lengths), 3)],
        "without_terrain": len(facts) - len(cells),
        "terrain_cells": [list(np.min(cells, axis=0).tolist()), list(np.max(cells, axis=0).tolist())]
        if cells
        else None,
        "terrain_height_m": [round(min(h[0] for h in heights), 3), round(max(h[1] for h in heights), 3)]
        if heights
        else None,
        "contact_share": round(sum(fact["held"] for fact in facts) / frames, 4),
        "no_contacts": sum(fact["held"] == 0 for fact in facts),
        "speed_m_s": [round(float(v), 3) for v in (slowest.min(), np.dot(share, mean), fastest.max())],
    }
