"""Stage 0: the motions that a run starts from, as clips in the run folder, and the data set of each iteration."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import attrs
import numpy as np

from parc_core.config import Use
from parc_core.interfaces import SeedStreams
from parc_core.stages.context import RunContext
from parc_core.stages.job import Job, JobRecord
from parc_motion.clips import DatasetEntry, MotionDataset, class_balanced_weights, load_clip, save_clip
from parc_motion.errors import DataError
from parc_motion.storage import digest_file

__all__ = ["STAGE", "entries_of", "import_inputs", "iteration_dataset"]

STAGE = "inputs"


def import_inputs(run: RunContext) -> list[JobRecord]:
    """Write the clips of every motion source into `inputs/<number>_<source>/`; one job per source."""
    return [_import_one(run, number, use) for number, use in enumerate(run.config.dataset)]


def iteration_dataset(run: RunContext) -> MotionDataset:
    """The data set of this iteration: every input, and every clip that earlier iterations recorded.

    Classes are balanced; a source's own `weight` multiplies its clips. The manifest is written as `dataset.yaml`.
    """
    groups = [
        (_input_folder(run, number, use), "input", use.weight)
        for number, use in enumerate(run.config.dataset)
    ]
    for earlier in range(1, run.iteration):
        recorded = run.run_folder / f"iter_{earlier:03d}" / "p4_phys_record" / "recorded_motions"
        groups.append((recorded, "recorded", 1.0))
    entries = [entry for folder, origin, weight in groups for entry in entries_of(folder, origin, weight)]
    if not entries:
        raise DataError(
            f"{run.run_folder}: no motion source gave a clip. Check `dataset` in the iteration file."
        )
    dataset = MotionDataset(entries=tuple(balance(entries)))
    dataset.save(run.folder / "dataset.yaml")
    return dataset


def entries_of(folder: pathlib.Path, origin: str, weight: float = 1.0) -> list[DatasetEntry]:
    """One entry per clip below a folder (those under `flipped` included), sorted by file name."""
    entries = []
    for file in sorted(folder.rglob("*.npz")):
        clip = load_clip(file)
        entries.append(
            DatasetEntry(
                file=file,
                name=clip.name,
                motion_class=clip.motion_class or folder.name,
                num_frames=clip.num_frames,
                fps=clip.fps,
                digest=digest_file(file),
                weight=weight,
                origin=origin,
            )
        )
    return entries


def balance(entries: Iterable[DatasetEntry]) -> list[DatasetEntry]:
    """The entries with class-balanced weights, multiplied by the weights they came with; refuses equal names."""
    entries = list(entries)
    seen: dict[str, pathlib.Path] = {}
    for entry in entries:
        if entry.name in seen:
            raise DataError(
                f"two clips are called '{entry.name}': {seen[entry.name]} and {entry.file}. Rename one."
            )
        seen[entry.name] = entry.file
    weights = class_balanced_weights([e.motion_class for e in entries], [e.length for e in entries])
    weights = weights * np.array([entry.weight for entry in entries])
    weights = weights / weights.sum()
    return [attrs.evolve(entry, weight=float(w)) for entry, w in zip(entries, weights)]


def _import_one(run: RunContext, number: int, use: Use) -> JobRecord:
    seeds = SeedStreams(run.config.seed).child(STAGE, source=number)  # the same in every iteration
    fields = {**run.key_fields({"source": ("motion_source", use)}), "iteration": 0}
    job = Job(stage=STAGE, folder=_input_folder(run, number, use), key_fields=fields, attic=run.attic)
    record = job.finished()
    if record is not None:
        return record
    with job.attempt() as folder:
        source = run.registry.create("motion_source", use, skeleton=run.skeleton, seeds=seeds)
        counts: dict[str, int] = {}
        seconds = 0.0
        for clip in source.clips():
            clip.require_skeleton(run.skeleton.id, run.skeleton.num_joints)
            save_clip(folder / (clip.motion_class or "unclassified") / f"{clip.name}.npz", clip)
            counts[clip.motion_class or "unclassified"] = (
                counts.get(clip.motion_class or "unclassified", 0) + 1
            )
            seconds += clip.num_frames / clip.fps
            run.reporter.update(STAGE, sum(counts.values()), sum(counts.values()), clip.name)
        if not counts:
            raise DataError(f"motion source '{use.name}' gave no clip. Check its settings in `dataset`.")
    total = sum(counts.values())
    return job.commit({"in": 1, "out": total, "classes": counts, "seconds": round(seconds, 2)})


def _input_folder(run: RunContext, number: int, use: Use) -> pathlib.Path:
    return run.run_folder / "inputs" / f"{number:02d}_{use.name.replace(':', '_')}"
