"""What a run made, measured on the files that it wrote."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

from parc_core.interfaces import IterationFolder, RunFolder
from parc_core.stages import record_report
from parc_core.stages.record import JobRecord, read_record
from parc_motion import storage
from parc_motion.clips import load_clip
from parc_motion.errors import DataError
from parc_motion.skeletons import Skeleton, load_skeleton

log = logging.getLogger(__name__)

__all__ = ["collect", "iteration_folders", "records_of"]

_METRICS_FORMAT = 1  # raised when metrics are computed in another way
_MIRRORED = "flipped"  # folder in a batch


def collect(folder: pathlib.Path, *, keep: bool = False) -> dict[str, Any]:
    """The report of a run folder: per iteration the stages, the generator's metrics and the tracker's success.

    Args:
        folder: a run folder.
        keep: write the metrics into the folder of each iteration, so that its clips are not opened again.

    Returns:
        ``{"folder", "inputs": [...], "iterations": [{"iteration", "stages": [...], "generator": {...}, "tracker":
        {...}}]}``; stages that have not finished are left out.
    """
    rows = []
    for iteration in iteration_folders(folder):
        stages = [_row(record) for record in records_of(iteration)]
        rows.append(
            {
                "iteration": iteration.number,
                "stages": stages,
                "generator": _kept_metrics(iteration, keep),
                "tracker": _tracker(iteration),
            }
        )
    sources = [record for path in RunFolder(folder).input_folders() if (record := read_record(path))]
    return {"folder": str(folder), "inputs": [_row(record) for record in sources], "iterations": rows}


def iteration_folders(folder: pathlib.Path) -> list[IterationFolder]:
    """The iterations of a run in which a stage has finished, in order."""
    return [iteration for iteration in RunFolder(folder).iterations() if records_of(iteration)]


def records_of(iteration: IterationFolder) -> list[JobRecord]:
    """Records of the finished jobs of an iteration, in the order of the stages."""
    folders = [iteration.train_gen, *iteration.batches(), iteration.train_tracker, iteration.phys_record]
    return [record for path in folders if (record := read_record(path))]


def _row(record: JobRecord) -> dict[str, Any]:
    summary = record.summary
    return {
        "stage": record.stage,
        "in": summary.get("in"),
        "out": summary.get("out"),
        "rejected": summary.get("rejected", {}),
        "wall_s": record.wall_s,
        "summary": summary,
    }


def _kept_metrics(iteration: IterationFolder, keep: bool) -> dict[str, dict[str, float]]:
    """The metrics of the iteration's clips: those that were kept, if no clip has been made since."""
    made = [record.digest for record in records_of(iteration) if record.stage in ("kin_gen", "phys_record")]
    key, path = storage.digest_json([_METRICS_FORMAT, made]), iteration.metrics
    kept = _kept(path)
    if kept.get("key") == key:
        return kept["metrics"]
    metrics = _generator_metrics(iteration)
    if keep:
        storage.write_sealed(path, {"key": key, "metrics": metrics})
    return metrics


def _kept(path: pathlib.Path) -> dict[str, Any]:
    try:
        return storage.read_sealed(path) if path.is_file() else {}
    except DataError as err:  # it can be computed again
        log.warning("%s The metrics are computed again.", err)
        return {}


def _generator_metrics(iteration: IterationFolder) -> dict[str, dict[str, float]]:
    """Means over the clips of each kind: as generated, after optimization, as recorded."""
    from parc_motion.metrics import clip_metrics, summarize

    kinds = _clips_by_kind(iteration)
    skeleton = None
    result = {}
    for kind, files in kinds.items():
        clips = [load_clip(file) for file in files]
        if not clips:
            continue
        skeleton = skeleton or _skeleton_of(iteration)
        result[kind] = {
            "clips": float(len(clips)),
            **summarize([clip_metrics(clip, skeleton) for clip in clips]),
        }
    return result


def _clips_by_kind(iteration: IterationFolder) -> dict[str, list[pathlib.Path]]:
    """Files of the clips that finished jobs made, as their records name them.

    Raises:
        CorruptArtifact: one is missing or damaged.
    """
    found: dict[str, list[pathlib.Path]] = {"generated": [], "optimised": [], "recorded": []}
    for folder in iteration.batches():
        record = read_record(folder)
        for file in record.checked(folder) if record is not None else ():
            if file.suffix == ".npz" and file.parent.name != _MIRRORED:
                found["optimised" if file.parent == folder else "generated"].append(file)
    record = read_record(iteration.phys_record)
    if record is not None and any(name.endswith(".npz") for name in record.files):
        clips = record.checked(iteration.phys_record, iteration.recorded_motions.name)
        found["recorded"] = [file for file in clips if file.suffix == ".npz"]
    return found


def _skeleton_of(iteration: IterationFolder) -> Skeleton:
    from parc_core.config import load_iteration
    from parc_core.plugins import Registry

    config = load_iteration(RunFolder(iteration.path.parent).config, (), Registry.discover()).config
    return load_skeleton(config.character)


def _tracker(iteration: IterationFolder) -> dict[str, Any]:
    """The policy's own evaluation, and who recorded what."""
    result: dict[str, Any] = {}
    document = _output(iteration.evaluation)
    if document:
        result["evaluation"] = {"success_rate": document["success_rate"], "errors": document["errors"]}
    document = _output(iteration.record_report)
    if document.get("format") == record_report.FORMAT:
        rows = [(row["motion"], row) for row in document["recorded"] if row.get("kept") == "partial"]
        rows += document["lost"].items()
        missing = {name: row["text"] for name, row in sorted(rows)}
        result["recording"] = {**document["summary"], "not_recorded": missing}
    return result


def _output(path: pathlib.Path) -> dict[str, Any]:
    """A JSON document among the outputs of a finished job, compared with its record; {} if the job made none."""
    record = read_record(path.parent)
    if record is None or path.name not in record.files:
        return {}
    record.checked(path.parent, path.name)
    return storage.read_json(path)
