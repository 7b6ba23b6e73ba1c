"""`parc info`: what a file or folder is, and the tables that show it."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from parc_core import storage
from parc_core.data.clip_file import load_clip
from parc_core.data.dataset import MotionDataset
from parc_core.errors import DataError
from parc_core.runner.report import collect

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["describe", "render"]


def describe(path: pathlib.Path) -> dict[str, Any]:
    """What lies at a path: a run folder, a data-set manifest, a policy or generator folder, a folder of clips, a clip.

    Raises:
        DataError: nothing that PARC knows.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise DataError(f"{path}: does not exist. Give a run folder, a clip, or a folder of clips.")
    if path.is_dir():
        return _describe_folder(path)
    if path.suffix == ".npz":
        return {"what": "clip", **_clip_row(path)}
    if path.name.endswith(".yaml") and b'"motions"' in path.read_bytes()[:200]:
        dataset = MotionDataset.load(path)
        return {"what": "data set", "path": str(path), "digest": dataset.digest, **_classes(dataset)}
    raise DataError(f"{path}: not a clip (.npz), a data-set manifest or a folder. `parc data import` reads other formats.")


def render(document: dict[str, Any], console: Console) -> None:
    """Print what `describe` gave, or the report of a run."""
    if "iterations" in document:
        _render_run(document, console)
        return
    for name, value in document.items():
        if name == "clips":
            _render_clips(value, console)
        else:
            console.print(f"{name:<14} {value}", highlight=False)


def _describe_folder(path: pathlib.Path) -> dict[str, Any]:
    if (path / "config.yaml").is_file():
        return {"what": "run", **collect(path)}
    for kind in ("policy", "generator"):
        file = path / f"{kind}.json"
        if file.is_file():
            return {"what": kind, "path": str(path), **storage.read_json(file)["fields"]}
    files = sorted(path.rglob("*.npz"))
    if not files:
        raise DataError(f"{path}: no run (config.yaml), policy, generator or clip (.npz) lies here.")
    return {"what": "clips", "path": str(path), "clips": [_clip_row(file) for file in files]}


def _clip_row(path: pathlib.Path) -> dict[str, Any]:
    clip = load_clip(path)
    terrain = None
    if clip.terrain is not None:
        low, high = float(clip.terrain.height.min()), float(clip.terrain.height.max())
        terrain = f"{clip.terrain.shape[0]}x{clip.terrain.shape[1]} cells of {clip.terrain.cell:g} m, {low:.2f}..{high:.2f} m"
    return {
        "path": str(path),
        "name": clip.name,
        "class": clip.motion_class,
        "frames": clip.num_frames,
        "fps": clip.fps,
        "length_s": round(clip.length, 3),
        "character": clip.skeleton,
        "terrain": terrain,
        "stage": clip.provenance.stage,
        "provider": clip.provenance.provider,
    }


def _classes(dataset: MotionDataset) -> dict[str, Any]:
    classes: dict[str, dict[str, float]] = {}
    for entry in dataset.entries:
        row = classes.setdefault(entry.motion_class, {"clips": 0, "seconds": 0.0, "weight": 0.0})
        row["clips"] += 1
        row["seconds"] = round(row["seconds"] + entry.length, 3)
        row["weight"] = round(row["weight"] + entry.weight, 6)
    return {"num_clips": len(dataset), "classes": classes}


def _render_clips(rows: list[dict[str, Any]], console: Console) -> None:
    from rich.table import Table

    table = Table("clip", "class", "frames", "length s", "terrain", "made by")
    for row in rows:
        made = f"{row['stage']}/{row['provider']}".strip("/")
        table.add_row(row["name"], row["class"], str(row["frames"]), f"{row['length_s']:.2f}", row["terrain"] or "-", made)
    console.print(table)


def _render_run(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    console.print(f"run {document['folder']}", highlight=False)
    for row in document["iterations"]:
        table = Table("stage", "in", "out", "rejected, and why", "wall time", title=f"iteration {row['iteration']}", title_justify="left")
        for stage in [*document["inputs"], *row["stages"]]:
            why = ", ".join(f"{count} {reason}" for reason, count in stage["rejected"].items()) or "-"
            table.add_row(stage["stage"], str(stage["in"]), str(stage["out"]), why, f"{stage['wall_s']:.1f} s")
        console.print(table)
        for stage in row["stages"]:
            begun = stage["summary"].get("started_from")
            if begun:
                console.print(f"  {stage['stage']} started from {begun}", highlight=False)
        _render_metrics(row["generator"], console)
        _render_tracker(row["tracker"], console)


def _render_metrics(metrics: dict[str, dict[str, float]], console: Console) -> None:
    from rich.table import Table

    if not metrics:
        return
    table = Table("clips", "number", "FWD m", "TPL", "TCL", "HJF %", "sliding cm")
    for kind, values in metrics.items():
        cells = [f"{values[name]:.3f}" for name in ("FWD", "TPL", "TCL", "HJF")]
        table.add_row(kind, f"{values['clips']:.0f}", *cells, f"{100 * values['foot_sliding']:.2f}")
    console.print(table)


def _render_tracker(tracker: dict[str, Any], console: Console) -> None:
    evaluation = tracker.get("evaluation")
    if evaluation is not None:
        errors = ", ".join(f"{name} {value:.3f}" for name, value in evaluation["errors"].items())
        rate = f"{100 * evaluation['success_rate']:.0f} %"
        console.print(f"  tracker follows {rate} of its motions from the first frame to the end; mean errors: {errors}", highlight=False)
    recording = tracker.get("recording")
    if recording is not None:
        agents = ", ".join(f"{count} by {agent}" for agent, count in recording["by_agent"].items()) or "none"
        share = 100 * recording["generated_recorded"] / max(recording["generated"], 1)
        text = (
            f"  recorded {recording['out']} of {recording['in']} motions ({agents}; {recording['whole']} from their first frame); "
            f"of {recording['generated']} generated clips {recording['generated_recorded']} ({share:.0f} %) are physical now"
        )
        console.print(text, highlight=False)
        errors = ", ".join(f"{name} {value:.3f}" for name, value in recording["errors"].items())
        if errors:
            console.print(f"  mean errors of what was recorded: {errors}", highlight=False)
