"""Stage 0: the motions that a run starts from, as clips in the run folder, and the data set of each iteration."""

from __future__ import annotations

import pathlib
from collections import Counter

import attrs

from parc_core.config import Use
from parc_core.interfaces import MotionSource, SeedStreams
from parc_core.stages.context import RunContext
from parc_core.stages.job import Job, carry_out
from parc_core.stages.manifests import (
    entries_of_job,
    entry_of,
    kept_dataset,
    with_mean_weight_1,
    write_manifest,
)
from parc_core.stages.record import JobRecord, read_record
from parc_core.stages.weighting import check_classes, in_proportion_to_length, weighted
from parc_motion.clips import DatasetEntry, MotionDataset, save_clip
from parc_motion.errors import DataError
from parc_motion.stopping import stop_point

__all__ = ["STAGE", "import_inputs", "iteration_dataset", "job"]

STAGE = "inputs"
_UNCLASSIFIED = "unclassified"


def job(run: RunContext, number: int, use: Use) -> Job:
    """The job that imports the motion source with this place in `dataset`."""
    uses = {"source": ("motion_source", use)}
    return run.job(STAGE, _input_folder(run, number, use), uses, iteration=0)


def import_inputs(run: RunContext) -> list[JobRecord]:
    """Write the clips of every motion source into `inputs/<number>_<source>/`; one job per source."""
    for number, use in enumerate(run.config.dataset):
        if read_record(_input_folder(run, number, use)) is None:
            _source(run, number, use)  # what is wrong with it shows before another one is imported
    records = [_import_one(run, number, use) for number, use in enumerate(run.config.dataset)]
    run.source_digests.save()
    return records


def iteration_dataset(run: RunContext) -> MotionDataset:
    """The data set of this iteration: every input, and every clip that earlier iterations recorded.

    Weights are those of `weighted`. The manifest is written as `dataset.yaml`, and stays as it is once the generator of
    the iteration is trained.

    Raises:
        CorruptArtifact: the manifest is not the one that the generator was trained with.
        DataError: an earlier iteration has not recorded yet, there is no clip, two have the same name, `class_weights`
            names a class that no clip has, or no clip has a weight above 0.
    """
    if run.folder.dataset.is_file() and read_record(run.folder.train_gen) is not None:
        return kept_dataset(run.folder)
    groups = [
        (_input_folder(run, number, use), "input", "", use.weight)
        for number, use in enumerate(run.config.dataset)
    ]
    for earlier in range(1, run.iteration):
        iteration = run.run_folder.iteration(earlier)
        recording = iteration.phys_record
        if read_record(recording) is None:
            raise DataError(
                f"{recording}: iteration {earlier} has not recorded its motions yet, "
                f"and iteration {run.iteration} learns from them. Finish it first: parc run {run.run_folder.path} "
                f"--only phys_record --iteration {earlier}"
            )
        groups.append((recording, "recorded", iteration.recorded_motions.name, 1.0))
    entries = [entry for group in groups for entry in entries_of_job(*group)]
    if not entries:
        raise DataError(
            f"{run.run_folder.path}: no motion source gave a clip. Check `dataset` in the iteration file."
        )
    check_classes(entries, run.config)
    dataset = MotionDataset(entries=tuple(weighted(entries, run.config)))
    dataset.save(run.folder.dataset)
    return dataset


def _import_one(run: RunContext, number: int, use: Use) -> JobRecord:
    work = job(run, number, use)
    return carry_out(work, lambda: _write(run, work, number, use))


def _write(run: RunContext, work: Job, number: int, use: Use) -> JobRecord:
    with work.attempt() as folder:
        source = _source(run, number, use)
        entries: list[DatasetEntry] = []
        for clip in source.clips():
            stop_point()
            clip.require_skeleton(run.skeleton.id, run.skeleton.num_joints)
            file = folder / (clip.motion_class or _UNCLASSIFIED) / f"{clip.name}.npz"
            entry = entry_of(clip, file, save_clip(file, clip), work.folder.name)
            entries.append(attrs.evolve(entry, weight=source.weight_of(clip)))
            run.reporter.update(STAGE, len(entries), len(entries), clip.name)
        if not entries:
            raise DataError(f"motion source '{use.name}' gave no clip. Check its settings in `dataset`.")
        known = write_manifest(folder, with_mean_weight_1(entries, work.folder.name))
        if run.config.balance != "clip" and in_proportion_to_length(entries):
            run.reporter.message(
                STAGE,
                f"{work.folder.name}: its weights are in proportion to length inside every class already, and "
                f"`balance: {run.config.balance}` multiplies by length again. Set `balance: clip` to sample by its "
                "weights.",
            )
    counts = Counter(entry.file.parent.name for entry in entries)
    seconds = round(sum(entry.length for entry in entries), 2)
    return work.commit({"in": 1, "out": len(entries), "classes": dict(counts), "seconds": seconds}, known)


def _source(run: RunContext, number: int, use: Use) -> MotionSource:
    seeds = SeedStreams(run.config.seed).child(STAGE, source=number)  # the same in every iteration
    return run.registry.create("motion_source", use, skeleton=run.skeleton, seeds=seeds)


def _input_folder(run: RunContext, number: int, use: Use) -> pathlib.Path:
    return run.run_folder.inputs(number, use.name)
