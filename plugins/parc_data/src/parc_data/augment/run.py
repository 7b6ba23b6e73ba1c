"""Variations of many clips, in a folder that a later call continues."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from parc_core.config import Use, config_digest, dump
from parc_core.interfaces import Optimizer, SeedStreams
from parc_data.augment.config import AugmentConfig
from parc_data.augment.journal import Journal
from parc_data.augment.maker import Maker, batches
from parc_data.augment.optimizing import without_threads
from parc_data.augment.report import clip_row, totals
from parc_data.tools.find import FoundClip, load_found
from parc_data.tools.output import clip_path
from parc_motion import storage
from parc_motion.clips import MotionClip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton

__all__ = ["Task", "augment_files", "settings_digest"]

_FORMAT = 1  # changes when equal settings and seeds give other clips


@attrs.frozen(kw_only=True)
class Task:
    """Everything that determines the variations of a clip, except the clip itself."""

    variations: int
    seed: int
    config: AugmentConfig
    optimizer: Use
    made_by: str  # distribution and version of the optimizer: another version may give other results
    skeleton: Skeleton


def settings_digest(task: Task) -> str:
    """Digest of all that determines a variation except its clip; the number of threads does not."""
    return config_digest(
        {
            "format": _FORMAT,
            "seed": task.seed,
            "config": task.config,
            "optimizer": [task.made_by, without_threads(task.optimizer)],
            "character": [task.skeleton.id, storage.digest_bytes(task.skeleton.mjcf.encode())],
        }
    )


def augment_files(
    task: Task,
    found: Sequence[FoundClip],
    folder: pathlib.Path,
    make_optimizer: Callable[[], Optimizer],
    *,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the variations of every clip as `<folder>/<class>/<clip>_aug_<number>.npz`; returns the report.

    A clip that cannot be varied is listed in the report under `unusable`; the others are processed.

    Args:
        make_optimizer: called when the first variation has to be made.
        progress: called with a line of text after every batch.

    Raises:
        StorageError: the folder is not free.
        RunLocked: another process works in it.
    """
    settings = settings_digest(task)
    Journal.check_folder(folder, [item.file for item in found])
    with storage.RunLock(folder):
        journal = Journal.read(folder, settings, overwrite)
        optimizer = functools.cache(make_optimizer)
        clips: dict[str, dict[str, Any]] = {}
        unusable: dict[str, str] = {}
        for item in found:
            try:
                clip = load_found(item)
                place = clip_path(clip).with_suffix("").as_posix()
                if place in clips:
                    raise DataError(f"{item.file}: another clip is '{place}', too. Rename one.")
                parent = storage.digest_file(item.file)
                journal.drop_clip(place, parent, overwrite)
                _augment_one(task, clip, parent, journal, optimizer, progress)
            except DataError as err:
                unusable[str(item.file)] = str(err)
                continue
            clips[place] = clip_row(place, parent, task.variations, journal.rows)
        report = _head(task, settings) | totals(clips.values())
        report |= {"unusable": unusable, "clips": list(clips.values())}
        journal.write_report(report)
    return report


def _head(task: Task, settings: str) -> dict[str, Any]:
    return {
        "settings": settings,
        "seed": task.seed,
        "variations": task.variations,
        "config": dump(task.config),
        "optimizer": {**dump(without_threads(task.optimizer)), "made_by": task.made_by},
        "character": task.skeleton.id,
    }


def _augment_one(
    task: Task,
    clip: MotionClip,
    parent: str,
    journal: Journal,
    optimizer: Callable[[], Optimizer],
    progress: Callable[[str], None],
) -> None:
    place = clip_path(clip).with_suffix("").as_posix()
    missing = [
        batch for batch in batches(task.variations, task.config.batch) if not journal.has(place, batch)
    ]
    if not missing:
        progress(f"{place}: all {task.variations} variations are there")
        return
    maker = Maker(
        clip,
        parent,
        skeleton=task.skeleton,
        optimizer=optimizer(),
        config=task.config,
        seeds=SeedStreams(task.seed),
        origin={"optimizer": task.optimizer.name, "settings": journal.settings},
    )
    for batch in missing:
        made = maker.make(batch)
        journal.save(place, parent, made)
        kept = sum(one.clip is not None for one in made)
        progress(f"{place}: {kept} of {len(batch)} variations kept, {batch.stop} of {task.variations} done")
