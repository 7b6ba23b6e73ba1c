"""`parc info`: what a file or folder is, and the tables that show it."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from parc_core.interfaces import RunFolder
from parc_core.runner.report import collect
from parc_motion import storage
from parc_motion.clips import MotionDataset, load_clip
from parc_motion.errors import DataError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["describe", "render"]

# heading, metric of `parc_motion.metrics.clips`, factor
_COLUMNS = (
    ("FWD m", "final_waypoint_distance_m", 1.0),
    ("TPL m", "terrain_penetration", 1.0),
    ("TCL m", "terrain_contact", 1.0),
    ("%HJF", "high_jerk_percent", 1.0),
    ("sliding cm", "foot_slide_m", 100.0),
)
_SHOWN = 10  # motions that were not recorded, by name


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
    if path.name.endswith(".yaml") and b'"motions"' in _beginning(path):
        dataset = MotionDataset.load(path)
        return {"what": "data set", "path": str(path), "digest": dataset.digest, **_classes(dataset)}
    raise DataError(
        f"{path}: not a clip (.npz), a data-set manifest or a folder. `parc data import` reads other formats."
    )


def _beginning(path: pathlib.Path) -> bytes:
    with storage.open_file(path) as stream:
        return stream.read(200)


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
    run = RunFolder(path)
    if run.exists:
        return {"what": "run", **collect(path)}
    if run.iterations():
        raise DataError(
            f"{run.config}: missing from a run folder. Restore it, or start the run again with its iteration file."
        )
    for kind in ("policy", "generator"):
        file = path / f"{kind}.json"
        if file.is_file():
            return {"what": kind, "path": str(path), **storage.read_manifest(path, kind)}
    files = sorted(path.rglob("*.npz"))
    if not files:
        raise DataError(f"{path}: no run (config.yaml), policy, generator or clip (.npz) lies here.")
    return {"what": "clips", "path": str(path), "clips": [_clip_row(file) for file in files]}


def _clip_row(path: pathlib.Path) -> dict[str, Any]:
    clip = load_clip(path)
    terrain = None
    if clip.terrain is not None:
        low, high = float(clip.terrain.height.min()), float(clip.terrain.height.max())
        cells = "x".join(str(n) for n in clip.terrain.shape)
        terrain = f"{cells} cells of {clip.terrain.cell:g} m, {low:.2f}..{high:.2f} m"
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
        table.add_row(
            row["name"],
            row["class"],
            str(row["frames"]),
            f"{row['length_s']:.2f}",
            row["terrain"] or "-",
            made,
        )
    console.print(table)


def _render_run(document: dict[str, Any], console: Console) -> None:
    """One table per iteration: stages, then the clips' metrics, then the tracker."""
    from rich.table import Table

    for row in document["iterations"]:
        title = f"{document['folder']}, iteration {row['iteration']}"
        table = Table(
            "stage", "in", "out", "rejected and why, figures", "wall time", title=title, title_justify="left"
        )
        for stage in [*document["inputs"], *row["stages"]]:
            cells = [
                stage["stage"],
                str(stage["in"]),
                str(stage["out"]),
                _remarks(stage),
                f"{stage['wall_s']:.1f} s",
            ]
            table.add_row(*cells)
        table.add_section()
        for kind, values in row["generator"].items():
            table.add_row(f"clips {kind}", "", f"{values['clips']:.0f}", _metrics(values), "")
        table.add_section()
        for name, text in _tracker(row["tracker"]):
            table.add_row(name, "", "", text, "")
        console.print(table)


def _remarks(stage: dict[str, Any]) -> str:
    parts = [f"{count} {reason}" for reason, count in stage["rejected"].items()]
    begun = stage["summary"].get("started_from")
    if begun:
        parts.append(f"started from {begun}")
    return ", ".join(parts) or "-"


def _metrics(values: dict[str, float]) -> str:
    return "  ".join(
        f"{title} {values[name] * scale:.3f}" for title, name, scale in _COLUMNS if name in values
    )


def _tracker(tracker: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    evaluation = tracker.get("evaluation")
    if evaluation is not None:
        rate = 100 * evaluation["success_rate"]
        rows.append(("tracker", f"follows {rate:.0f} % of its motions from the first frame to the end"))
        rows.append(("  errors", _errors(evaluation["errors"])))
    recording = tracker.get("recording")
    if recording is not None:
        agents = ", ".join(f"{count} by {agent}" for agent, count in recording["by_agent"].items()) or "none"
        whole = f"{recording['whole']} from their first frame"
        followed = f"{recording['recorded']} of {recording['in']} motions: {agents}; {whole}"
        rows.append(("recorded", f"{followed}; of {recording['partial']} others a part"))
        done, count = recording["generated_recorded"], recording["generated"]
        if count:
            rows.append(
                ("", f"of {count} generated clips {done} ({100 * done / count:.0f} %) are physical now")
            )
        rows.append(("  errors", _errors(recording["errors"])))
        rows += _not_recorded(recording["not_recorded"])
    return rows


def _not_recorded(reasons: dict[str, str]) -> list[tuple[str, str]]:
    """A row per motion, the first few of them; `report.json` of the stage has them all, with every try."""
    rows = [(f"  {name}", text) for name, text in list(reasons.items())[:_SHOWN]]
    if len(reasons) > _SHOWN:
        rows.append(("", f"and {len(reasons) - _SHOWN} more, see report.json of the stage"))
    return [("not recorded", f"{len(reasons)} motions"), *rows] if rows else []


def _errors(errors: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in errors.items()) or "-"
