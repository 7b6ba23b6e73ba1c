"""What a run made, measured on the files that it wrote."""

from __future__ import annotations

import pathlib
from typing import Any

from parc_core.stages import record_report
from parc_core.stages.job import JobRecord, read_record
from parc_motion import storage
from parc_motion.clips import load_clip
from parc_motion.skeletons import Skeleton, load_skeleton

__all__ = ["collect", "iteration_folders", "records_of"]


def collect(folder: pathlib.Path) -> dict[str, Any]:
    """The report of a run folder: per iteration the stages, the generator's metrics and the tracker's success.

    Args:
        folder: a run folder.

    Returns:
        ``{"folder", "inputs": [...], "iterations": [{"iteration", "stages": [...], "generator": {...}, "tracker":
        {...}}]}``; stages that have not finished are left out.
    """
    rows = []
    for iteration in iteration_folders(folder):
        stages = [_row(record) for record in records_of(iteration)]
        rows.append(
            {
                "iteration": int(iteration.name.removeprefix("iter_")),
                "stages": stages,
                "generator": _generator_metrics(iteration),
                "tracker": _tracker(iteration),
            }
        )
    sources = [record for path in sorted((folder / "inputs").glob("*")) if (record := read_record(path))]
    return {"folder": str(folder), "inputs": [_row(record) for record in sources], "iterations": rows}


def iteration_folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """The iterations of a run in which a stage has finished, in order."""
    found = sorted(path for path in folder.glob("iter_*") if path.is_dir())
    return [path for path in found if records_of(path)]


def records_of(iteration: pathlib.Path) -> list[JobRecord]:
    """Records of the finished jobs of an iteration, in the order of the stages."""
    batches = sorted((iteration / "p2_kin_gen").glob("*_*"), key=_batch_number)
    folders = [iteration / "p1_train_gen", *batches, iteration / "p3_tracker", iteration / "p4_phys_record"]
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


def _generator_metrics(iteration: pathlib.Path) -> dict[str, dict[str, float]]:
    """Means over the clips of each kind: as generated, after optimisation, as recorded."""
    from parc_motion.metrics import clip_metrics, summarise

    kinds = {
        "generated": sorted((iteration / "p2_kin_gen" / "ignore" / "raw").glob("*/*.npz")),
        "optimised": sorted(
            p for p in (iteration / "p2_kin_gen").glob("*_*/*.npz") if p.parent.parent.name == "p2_kin_gen"
        ),
        "recorded": sorted((iteration / "p4_phys_record" / "recorded_motions").rglob("*.npz")),
    }
    skeleton = None
    result = {}
    for kind, files in kinds.items():
        clips = [load_clip(file) for file in files]
        if not clips:
            continue
        skeleton = skeleton or _skeleton_of(iteration)
        result[kind] = {
            "clips": float(len(clips)),
            **summarise([clip_metrics(clip, skeleton) for clip in clips]),
        }
    return result


def _skeleton_of(iteration: pathlib.Path) -> Skeleton:
    from parc_core.config import load_iteration
    from parc_core.plugins import Registry

    config = load_iteration(iteration.parent / "config.yaml", (), Registry.discover()).config
    return load_skeleton(config.character)


def _tracker(iteration: pathlib.Path) -> dict[str, Any]:
    """The policy's own evaluation, and who recorded what."""
    result: dict[str, Any] = {}
    evaluation = iteration / "p3_tracker" / "evaluation.json"
    if evaluation.is_file():
        document = storage.read_json(evaluation)
        result["evaluation"] = {"success_rate": document["success_rate"], "errors": document["errors"]}
    recorded = iteration / "p4_phys_record" / "report.json"
    document = storage.read_json(recorded) if recorded.is_file() else {}
    if document.get("format") == record_report.FORMAT:
        rows = [(row["motion"], row) for row in document["recorded"] if row.get("kept") == "partial"]
        rows += document["lost"].items()
        missing = {name: row["text"] for name, row in sorted(rows)}
        result["recording"] = {**document["summary"], "not_recorded": missing}
    return result


def _batch_number(path: pathlib.Path) -> tuple[int, str]:
    last = path.name.rpartition("_")[2]
    return (int(last) if last.isdigit() else -1, path.name)
