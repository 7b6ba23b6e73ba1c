"""The clips that a generator learns from: judged before anything is computed, and some of them held out."""

from __future__ import annotations

import hashlib
import logging
import pathlib
from collections.abc import Sequence

import numpy as np

from parc_core.interfaces import stop_point
from parc_mdm.features import FPS
from parc_motion.clips import DatasetEntry, MotionDataset, PackedClips, cached_clips
from parc_motion.errors import DataError, SkeletonMismatch
from parc_motion.resample import frame_positions
from parc_motion.skeletons import Skeleton

__all__ = ["hold_out", "usable_clips"]

log = logging.getLogger(__name__)


def usable_clips(
    dataset: MotionDataset, cache: pathlib.Path, skeleton: Skeleton, window: int, short_clips: str
) -> tuple[PackedClips, np.ndarray]:
    """The clips of a data set, opened from a cache, and the indices ``[N]`` of those that are fit for training.

    Args:
        cache: folder, see `cached_clips`.
        window: frames of a window at 30 per second.
        short_clips: "error", or "skip" to leave out clips that are shorter.

    Raises:
        DataError: a clip is too short, damaged, not finite, without ground, or of another character; the text begins
            with its file.
    """
    short = [entry for entry in dataset.entries if _frames(entry) < window]
    if short and short_clips == "error":
        first = short[0]
        more = f" {len(short) - 1} more clips are too short." if len(short) > 1 else ""
        raise DataError(
            f"{first.file}: clip '{first.name}' has {first.num_frames} frames at {first.fps:g} per second, "
            f"{_frames(first)} at {FPS:g}; the generator learns from windows of {window}.{more} Take them out of the "
            "data set, or leave them out with `short_clips: skip`."
        )
    if short:
        names = ", ".join(entry.name for entry in short[:5])
        log.warning(
            "%d clips are shorter than a window of %d frames and left out: %s", len(short), window, names
        )
    chosen = np.array([m for m, entry in enumerate(dataset.entries) if _frames(entry) >= window])
    if not len(chosen):
        raise DataError(
            f"the data set has no clip of at least {window} frames ({window / FPS:.2f} s) among {len(short)}; "
            "give longer clips."
        )
    clips = cached_clips(dataset, cache)  # says itself what is wrong with a file
    try:
        clips[0].require_skeleton(skeleton.id, skeleton.num_joints)  # they all are of one character
    except SkeletonMismatch as err:
        raise SkeletonMismatch(f"{dataset.entries[0].file}: {err}") from err
    for m in chosen:
        stop_point()
        if clips.records[m]["terrain"] is None:
            entry = dataset.entries[m]
            raise DataError(
                f"{entry.file}: clip '{entry.name}' has no terrain; the generator learns from the ground too. Attach "
                "one."
            )
    return clips, chosen


def hold_out(names: Sequence[str], share: float) -> np.ndarray:
    """Which clips are only for measuring, ``[M]`` bool: those whose names have the lowest digests.

    Another clip in the data set changes little about who is chosen.

    Raises:
        DataError: there is one clip, and it would have to be both.
    """
    held = np.zeros(len(names), dtype=bool)
    if share == 0.0:
        return held
    if len(names) < 2:
        raise DataError(
            f"generator mdm: validation_share is {share:g}, but the data set has one clip, '{names[0]}'. Give more "
            "clips, or `validation_share: 0`."
        )
    order = sorted(range(len(names)), key=lambda m: hashlib.sha256(names[m].encode()).hexdigest())
    count = min(max(round(share * len(names)), 1), len(names) - 1)
    held[order[:count]] = True
    return held


def _frames(entry: DatasetEntry) -> int:
    """Frames of a clip at the rate of the windows."""
    positions = frame_positions(entry.name, entry.num_frames, entry.fps, FPS)
    return entry.num_frames if positions is None else len(positions)
